// SPDX-License-Identifier: Apache-2.0
// What may be said in the log again and again, but not always.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>

namespace websocket::base {

/// A few lines at once, then one a second. What is left out is counted. [any thread]
class LogThrottle {
public:
    using Clock = std::chrono::steady_clock;
    static constexpr std::chrono::seconds kPause{1};

    /// `burst` lines may follow each other when there were none for so many seconds.
    explicit constexpr LogThrottle(unsigned burst = 1) noexcept
        : slack_(Clock::duration(kPause).count() * (burst - 1)) {}

    /// How many lines were left out since the last one, when one may be written now; nothing when
    /// this one is left out.
    [[nodiscard]] std::optional<std::uint64_t>
    permit(Clock::time_point now = Clock::now()) noexcept {
        if (!take_turn(now)) {
            left_out_.fetch_add(1);
            return {};
        }
        return left_out_.exchange(0);
    }

    /// Whether a number is to be said when it is its turn, or as there will be no other.
    enum class Due : std::uint8_t { now, all };

    /// How many lines were left out, if that is to be said now, which makes it a line as well; else 0.
    [[nodiscard]] std::uint64_t overdue(Due due, Clock::time_point now = Clock::now()) noexcept {
        return owes() && (due == Due::all || take_turn(now)) ? left_out_.exchange(0) : 0;
    }

    /// True when some were left out and nobody has said how many.
    [[nodiscard]] bool owes() const noexcept { return left_out_.load() != 0; }

private:
    /// Each turn moves `next_` on by a pause; it may be ahead of the present by the burst.
    bool take_turn(Clock::time_point now) noexcept {
        constexpr Clock::rep kStep = Clock::duration(kPause).count();
        const Clock::rep present = now.time_since_epoch().count();
        Clock::rep next = next_.load(std::memory_order_relaxed);
        do {
            if (next - present > slack_) {
                return false;
            }
        } while (!next_.compare_exchange_weak(next, std::max(next, present) + kStep));
        return true;
    }

    const Clock::rep slack_;
    std::atomic<Clock::rep> next_{0};
    std::atomic<std::uint64_t> left_out_{0};
};

}  // namespace websocket::base
