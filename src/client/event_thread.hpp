// SPDX-License-Identifier: Apache-2.0
// The thread that clients live on.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "net/inbox.hpp"
#include "net/reactor.hpp"

namespace websocket::client {

/// Ends when it is destroyed: waits for that, unless it is itself where that happens. Whoever has something in its reactor
/// has a reference, too.
class EventThread {
public:
    using Task = std::function<void()>;

    /// Throws std::system_error, std::bad_alloc.
    EventThread();
    EventThread(const EventThread&) = delete;
    EventThread& operator=(const EventThread&) = delete;
    ~EventThread();

    /// Waits for its end, and forgets what it has not done; what is posted later is forgotten at once. [another thread]
    void end() noexcept;

    /// Runs the task soon: those of one thread in their order. What it throws ends the program, but std::bad_alloc. Throws
    /// std::bad_alloc. [any thread]
    void post(Task task);
    /// Whether this is it. [any thread]
    [[nodiscard]] bool here() const noexcept { return std::this_thread::get_id() == id_; }
    /// [loop]
    [[nodiscard]] net::Reactor& reactor() noexcept { return turns_->reactor; }

private:
    /// What the thread itself keeps: it may live a little longer.
    struct Turns {
        net::Reactor reactor{std::chrono::milliseconds{4}};
        net::Inbox<Task> inbox{reactor};
        std::vector<Task> own;  ///< of tasks and handlers here, which need not be woken
        std::atomic<bool> ended{false};

        void run();
        void run_all(std::vector<Task>& tasks);
    };

    const std::shared_ptr<Turns> turns_;
    std::thread thread_;
    std::thread::id id_;  ///< known before anybody can ask: nothing is posted in the constructor
};

}  // namespace websocket::client
