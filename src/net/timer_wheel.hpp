// SPDX-License-Identifier: Apache-2.0
// Many timers, O(1) to set and to cancel, a few bytes each.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>

namespace websocket::net {

/// Time in units that a wheel has, since some fixed moment; with 64 ms it wraps after 8 years.
using Tick = std::uint32_t;

/// True when `a` is before `b`, across a wrap.
[[nodiscard]] constexpr bool before(Tick a, Tick b) noexcept {
    return static_cast<std::int32_t>(a - b) < 0;
}

/// Rounded up, and one more for the part of the present tick that is over already: a timer never
/// fires early.
[[nodiscard]] constexpr Tick to_ticks(std::chrono::milliseconds duration,
                                      std::chrono::milliseconds tick) noexcept {
    return static_cast<Tick>((duration + tick - std::chrono::milliseconds{1}) / tick) + 1;
}

/// Base of whatever owns a timer.
struct TimerNode {
    TimerNode* previous = nullptr;
    TimerNode* next = nullptr;
    Tick deadline = 0;

    [[nodiscard]] bool armed() const noexcept { return next != nullptr; }
};

/// A ring of buckets, a tick each. A deadline beyond the ring waits in the bucket it will fall into
/// and is passed over until its turn has come. [loop]
class TimerWheel {
public:
    explicit TimerWheel(std::chrono::milliseconds tick, Tick now = 0) noexcept;

    [[nodiscard]] Tick tick_of(std::chrono::milliseconds time) const noexcept {
        return static_cast<Tick>(time / tick_);
    }
    /// Time from `now` to the next look at the timers; `most` when there is none before that.
    [[nodiscard]] std::chrono::milliseconds timeout(std::chrono::milliseconds now,
                                                    std::chrono::milliseconds most) const noexcept;

    void arm(TimerNode& node, Tick deadline) noexcept;
    void cancel(TimerNode& node) noexcept;

    /// Calls `fire(TimerNode&)` for each node whose deadline is not after `now`. The node is not
    /// armed during the call; it may be armed again, and any other node be armed or cancelled.
    template <class Fire>
    void advance(Tick now, Fire fire) {
        while (before(current_, now)) {
            if (occupied_words_ == 0) {
                current_ = now;
                return;
            }
            ++current_;
            TimerNode due;
            take_bucket(current_, due);
            while (due.next != &due) {
                TimerNode& node = *due.next;
                cancel(node);
                if (before(current_, node.deadline)) {
                    arm(node, node.deadline);
                } else {
                    fire(node);
                }
            }
        }
    }

    /// Ticks until the next bucket that holds something, at most kBuckets; 0 when none does.
    [[nodiscard]] Tick ticks_to_next() const noexcept;

private:
    static constexpr unsigned kBuckets = 1024;
    static constexpr unsigned kWordBits = 64;
    static constexpr unsigned kWords = kBuckets / kWordBits;
    static_assert(kWords == 16, "they are counted in occupied_words_");

    [[nodiscard]] static unsigned bucket_of(Tick tick) noexcept { return tick % kBuckets; }
    void take_bucket(Tick tick, TimerNode& into) noexcept;

    const std::chrono::milliseconds tick_;
    Tick current_;
    std::array<TimerNode, kBuckets> buckets_;       // heads of circular lists
    std::array<std::uint64_t, kWords> occupied_{};  // may say yes for an empty bucket
    std::uint16_t occupied_words_ = 0;              // which words of occupied_ are not 0
};

}  // namespace websocket::net
