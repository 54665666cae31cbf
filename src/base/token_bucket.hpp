// SPDX-License-Identifier: Apache-2.0
// How much a peer may send in which time, in one number a bucket.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace websocket::base {

/// A bucket that fills with `per_second` tokens and holds those of `burst`.
struct Rate {
    std::uint64_t per_second;  ///< at least 1
    std::chrono::milliseconds burst;
};

/// Tokens taken from a bucket that is full at first; `now` is the time since some fixed moment. It may go below empty: what has been received
/// cannot be sent back, but it can be waited for. No clock runs: kept is the moment at which the
/// bucket will be full again.
class TokenBucket {
public:
    /// Takes `amount` tokens, at most 2^32; false when there were fewer. [loop]
    bool take(std::uint64_t amount, std::chrono::milliseconds now, Rate rate) noexcept {
        return take(amount, now, rate, now);
    }
    /// The same for what may have been sent any time since `since`: what flowed over meanwhile counts,
    /// too.
    bool take(std::uint64_t amount, std::chrono::milliseconds now, Rate rate,
              std::chrono::milliseconds since) noexcept {
        const std::int64_t present = nanoseconds(now);
        const auto price = static_cast<std::int64_t>(amount * kSecond / rate.per_second);
        // The bound only keeps the sum within its bits.
        full_at_ = std::min(std::max(full_at_, nanoseconds(since)) + price, present + kMaxDebt);
        return full_at_ - present <= nanoseconds(rate.burst);
    }

    /// Time until the bucket is no longer below empty; 0 when it is not. [loop]
    [[nodiscard]] std::chrono::milliseconds debt(std::chrono::milliseconds now,
                                                 Rate rate) const noexcept {
        const std::int64_t owed = full_at_ - nanoseconds(now) - nanoseconds(rate.burst);
        return std::chrono::milliseconds{std::max<std::int64_t>(0, (owed + 999'999) / 1'000'000)};
    }

private:
    static constexpr std::uint64_t kSecond = 1'000'000'000;
    static constexpr std::int64_t kMaxDebt = std::int64_t{1} << 60;  // 36 years

    [[nodiscard]] static std::int64_t nanoseconds(std::chrono::milliseconds time) noexcept {
        return std::chrono::nanoseconds(time).count();
    }

    std::int64_t full_at_ = 0;
};

}  // namespace websocket::base
