// SPDX-License-Identifier: Apache-2.0
// A time that one thing waits for.
#pragma once

#include <chrono>
#include <functional>
#include <utility>

#include "net/reactor.hpp"

namespace websocket::net {

/// Stops when it is destroyed, which its function may do. The reactor outlives it. [loop]
class Timer final : public EventHandler {
public:
    Timer(Reactor& reactor, std::function<void()> function)
        : reactor_(reactor), function_(std::move(function)) {}
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;
    ~Timer() { stop(); }

    /// Calls the function once, not before so much time is over; instead of what was started before.
    void start(std::chrono::milliseconds delay) noexcept { reactor_.set_delay(*this, delay); }
    void stop() noexcept { reactor_.clear_time(*this); }
    [[nodiscard]] bool running() const noexcept { return armed(); }

    void on_time() noexcept override {
        const std::function<void()> function = function_;  // may destroy this
        function();
    }

private:
    Reactor& reactor_;
    const std::function<void()> function_;
};

}  // namespace websocket::net
