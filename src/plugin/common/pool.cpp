// SPDX-License-Identifier: Apache-2.0
#include "plugin/common/pool.hpp"

#include <sched.h>

#include <algorithm>
#include <exception>
#include <new>
#include <thread>
#include <utility>

#include "base/signal_mask.hpp"

namespace websocket::plugin {

namespace {

/// A loop that hands a message over goes on with its other sockets first, instead of losing the
/// processor to the thread that it has woken: several times fewer switches on a busy machine.
void yield_to_wakers() noexcept {
    if (::sched_getscheduler(0) == SCHED_OTHER) {
        const sched_param none{};
        ::sched_setscheduler(0, SCHED_BATCH, &none);
    }
}

}  // namespace

thread_local Pool::Place Pool::place_;

Pool::Pool(const PoolOptions& options, base::Log& log) noexcept
    : options_(options),
      usual_threads_(
          std::min(options.max_threads,
                   std::max({1U, options.min_threads, std::thread::hardware_concurrency()}))),
      log_(log) {}

Pool::~Pool() {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    work_.notify_all();
    keeper_.notify_all();
    ended_.wait(lock, [this] { return threads_ == 0 && !keeper_runs_; });
}

bool Pool::ready() noexcept {
    const std::lock_guard lock(mutex_);
    while (threads_ < std::max(1U, options_.min_threads)) {
        const unsigned before = threads_;
        add_worker();
        if (threads_ == before) {
            break;
        }
    }
    return threads_ > 0;
}

PoolLane& Pool::lane(const std::string& name) noexcept {
    try {
        const std::lock_guard lock(mutex_);
        const auto [entry, added] = lanes_.try_emplace(name);
        if (added) {
            entry->second.name_ = &entry->first;
        }
        return entry->second;
    } catch (const std::bad_alloc&) {
        return common_;
    }
}

void Pool::submit_all(PoolTask* first) noexcept {
    unsigned woken = 0;
    {
        const std::lock_guard lock(mutex_);
        while (first != nullptr) {
            PoolTask& task = *std::exchange(first, first->next_);
            woken += admit(task) ? 1U : 0U;
        }
    }
    for (; woken > 0; --woken) {
        work_.notify_one();
    }
}

bool Pool::admit(PoolTask& task) noexcept {
    append(task);
    if (!may_run(lane_of(task))) {
        held_back_ = true;
        call_keeper();
    } else if (idle_ > woken_) {
        ++woken_;
        return true;
    } else if (threads_ < usual_threads_) {
        add_worker();
    } else {
        call_keeper();
    }
    return false;
}

void Pool::add_worker() noexcept {
    const bool started = start_thread(&Pool::work);
    threads_ += started ? 1 : 0;
    starved_ = !started;
}

bool Pool::start_thread(void (Pool::*body)() noexcept) noexcept {
    try {
        const base::SignalsBlocked blocked;  // inherited by the thread
        std::thread([this, body] { (this->*body)(); }).detach();
        return true;
    } catch (const std::exception&) {  // no thread, or no memory for one
        if (!starved_) {
            log_.write(base::LogLevel::error, "WS0401: cannot start a thread of the plugin pool");
        }
        return false;
    }
}

void Pool::work() noexcept {
    yield_to_wakers();
    place_.pool = this;
    std::unique_lock lock(mutex_);
    while (PoolTask* task = wait_for_task(lock)) {
        run(*task, lock);
    }
    --threads_;
    ended_.notify_all();
}

/// Null when this thread should end.
PoolTask* Pool::wait_for_task(std::unique_lock<std::mutex>& lock) noexcept {
    for (;;) {
        if (PoolTask* task = take()) {
            return task;
        }
        if (stopping_) {
            return nullptr;
        }
        ++idle_;
        const auto status = work_.wait_for(lock, kIdle);
        --idle_;
        woken_ = std::min(woken_ > 0 ? woken_ - 1 : 0, idle_);
        if (status == std::cv_status::timeout && !can_run() &&
            threads_ > std::max(1U, options_.min_threads)) {
            return nullptr;
        }
    }
}

void Pool::run(PoolTask& task, std::unique_lock<std::mutex>& lock) noexcept {
    PoolLane& lane = lane_of(task);
    ++begun_;
    ++lane.begun_;
    ++lane.running_;
    ++busy_;
    if (held_back_ && idle_ > woken_ && can_run()) {
        ++woken_;  // nobody has woken a thread for what had to wait for its lane's turn
        work_.notify_one();
    }
    place_.lane = &lane;
    lock.unlock();
    task.run();  // which may be gone afterwards
    lock.lock();
    --busy_;
    --lane.running_;
}

}  // namespace websocket::plugin
