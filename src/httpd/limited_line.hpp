// SPDX-License-Identifier: Apache-2.0
// Log lines that a client can provoke must not become a flood themselves.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>

namespace websocket::httpd {

/// At most one line a second. [any thread]
class LimitedLine {
public:
    using Clock = std::chrono::steady_clock;

    /// How many lines were not written since the last one, when one may be written now; nothing
    /// when this one may not.
    [[nodiscard]] std::optional<std::uint64_t>
    permit(Clock::time_point now = Clock::now()) noexcept {
        constexpr Clock::rep kPause = Clock::duration(std::chrono::seconds{1}).count();
        const Clock::rep present = now.time_since_epoch().count();
        Clock::rep next = next_.load(std::memory_order_relaxed);
        if (present < next || !next_.compare_exchange_strong(next, present + kPause)) {
            suppressed_.fetch_add(1);
            return {};
        }
        return suppressed_.exchange(0);
    }

private:
    std::atomic<Clock::rep> next_{0};
    std::atomic<std::uint64_t> suppressed_{0};
};

}  // namespace websocket::httpd
