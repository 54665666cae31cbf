// SPDX-License-Identifier: Apache-2.0
#include "plugin/pool.hpp"

#include <sched.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <exception>
#include <thread>

#include "engine/signal_mask.hpp"

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

Pool::Pool(const PoolOptions& options, engine::Log& log) noexcept
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

void Pool::submit(PoolTask& task) noexcept {
    const std::lock_guard lock(mutex_);
    task.next_ = nullptr;
    if (last_ != nullptr) {
        last_->next_ = &task;
    } else {
        first_ = &task;
    }
    last_ = &task;
    if (idle_ > woken_) {
        ++woken_;
        work_.notify_one();
    } else if (threads_ < usual_threads_) {
        add_worker();
    } else if (!keeper_runs_) {
        keeper_runs_ = start_thread(&Pool::keep);
    } else if (keeper_rests_) {
        keeper_rests_ = false;
        keeper_.notify_one();
    }
}

void Pool::add_worker() noexcept {
    if (start_thread(&Pool::work)) {
        ++threads_;
    }
}

bool Pool::start_thread(void (Pool::*body)() noexcept) noexcept {
    try {
        const engine::SignalsBlocked blocked;  // inherited by the thread
        std::thread([this, body] { (this->*body)(); }).detach();
        return true;
    } catch (const std::exception&) {  // no thread, or no memory for one
        log_.write(engine::LogLevel::error, "WS0401: cannot start a thread of the plugin pool");
        return false;
    }
}

void Pool::work() noexcept {
    yield_to_wakers();
    std::unique_lock lock(mutex_);
    while (first_ != nullptr || wait_for_work(lock)) {
        run_next(lock);
    }
    --threads_;
    ended_.notify_all();
}

/// False when this thread should end.
bool Pool::wait_for_work(std::unique_lock<std::mutex>& lock) noexcept {
    while (first_ == nullptr) {
        if (stopping_) {
            return false;
        }
        ++idle_;
        const auto status = work_.wait_for(lock, kIdle);
        --idle_;
        woken_ = std::min(woken_ > 0 ? woken_ - 1 : 0, idle_);
        if (status == std::cv_status::timeout && first_ == nullptr &&
            threads_ > std::max(1U, options_.min_threads)) {
            return false;
        }
    }
    return true;
}

void Pool::run_next(std::unique_lock<std::mutex>& lock) noexcept {
    PoolTask* task = first_;
    first_ = task->next_;
    if (first_ == nullptr) {
        last_ = nullptr;
    }
    ++begun_;
    exhausted_ = false;
    lock.unlock();
    task->run();
    lock.lock();
}

/// Adds a worker each time that nothing has begun for a while although something waits.
void Pool::keep() noexcept {
    std::unique_lock lock(mutex_);
    while (!stopping_ || first_ != nullptr) {
        if (first_ == nullptr || (exhausted_ && !stopping_)) {
            keeper_rests_ = true;
            keeper_.wait(lock);
            keeper_rests_ = false;
            continue;
        }
        const std::uint64_t before = begun_;
        keeper_.wait_for(lock, kStall);
        if (first_ == nullptr || begun_ != before || idle_ > 0) {
            continue;
        }
        if (threads_ < options_.max_threads) {
            add_worker();
        } else if (!exhausted_) {
            exhausted_ = true;
            std::array<char, 160> line;
            std::snprintf(line.data(), line.size(),
                          "WS0402: all %u threads of the plugin pool are blocked in callbacks; see "
                          "WebSocketPoolMaxThreads",
                          threads_);
            log_.write(engine::LogLevel::warning, line.data());
        }
    }
    keeper_runs_ = false;
    ended_.notify_all();
}

}  // namespace websocket::plugin
