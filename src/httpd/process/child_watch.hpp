// SPDX-License-Identifier: Apache-2.0
// A thread that looks after the child process once a second: all others may be blocked.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "base/wake_event.hpp"

namespace websocket::httpd {

/// One in a process, never destroyed.
class ChildWatch {
public:
    using Clock = std::chrono::steady_clock;

    /// `look` is called with the time, on the watch's thread. It must not throw.
    explicit ChildWatch(std::function<void(Clock::time_point)> look) : look_(std::move(look)) {}

    /// Begins, if it has not begun. False without a thread or descriptor. [httpd worker]
    [[nodiscard]] bool start() noexcept;
    /// No further look begins. Async-signal-safe. [any thread]
    void begin_stop() noexcept;
    /// True when no look is going on any more. Async-signal-safe. [any thread]
    [[nodiscard]] bool stopped() const noexcept { return !running_.load(); }

private:
    void run() noexcept;

    const std::function<void(Clock::time_point)> look_;
    std::atomic<bool> started_{false};
    std::atomic<bool> running_{false};
    std::atomic<bool> stopping_{false};
    std::mutex start_mutex_;               // guards the start
    std::optional<base::WakeEvent> stop_;  ///< wakes the thread when it has to end
    std::thread thread_;
};

}  // namespace websocket::httpd
