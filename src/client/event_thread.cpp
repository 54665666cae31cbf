// SPDX-License-Identifier: Apache-2.0
#include "client/event_thread.hpp"

#include <new>
#include <utility>

#include "base/signal_mask.hpp"

namespace websocket::client {

EventThread::EventThread() : turns_(std::make_shared<Turns>()) {
    const base::SignalsBlocked inherited;
    thread_ = std::thread([turns = turns_] { turns->run(); });
    id_ = thread_.get_id();
}

EventThread::~EventThread() {
    if (here()) {
        turns_->ended = true;
        thread_.detach();
    } else {
        end();
    }
}

void EventThread::end() noexcept {
    if (!thread_.joinable()) {
        return;
    }
    turns_->ended = true;
    turns_->reactor.wake();
    thread_.join();
    turns_->inbox.close();
    std::vector<Task> left;
    turns_->inbox.take(left);
    std::exchange(turns_->own, {}).clear();
}

void EventThread::post(Task task) {
    if (here()) {
        turns_->own.push_back(std::move(task));
        return;
    }
    const std::shared_ptr<Turns> turns =
        turns_;  // the task may destroy this before it is woken for it
    // Without a limit it is never full; and what comes behind the end concerns nobody.
    static_cast<void>(turns->inbox.post(std::move(task)));
}

void EventThread::Turns::run() {
    constexpr std::chrono::milliseconds kLongest{std::chrono::minutes{10}};
    std::vector<Task> batch;
    while (!ended) {
        static_cast<void>(reactor.wait(own.empty() ? kLongest : std::chrono::milliseconds{0}));
        try {
            reactor.dispatch();
        } catch (const std::bad_alloc&) {
            // What was left out is found again.
        }
        reactor.fire_timers();
        inbox.take(batch);
        run_all(batch);
        batch.swap(own);  // those that they add have their turn later
        run_all(batch);
    }
}

void EventThread::Turns::run_all(std::vector<Task>& tasks) {
    for (Task& task : tasks) {
        try {
            std::exchange(task, nullptr)();
        } catch (const std::bad_alloc&) {
            // A task sees itself to what it has to undo.
        }
    }
    tasks.clear();
}

}  // namespace websocket::client
