// SPDX-License-Identifier: Apache-2.0
// Any number of timers with tasks of their own, each with an owner or with none.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "net/owned_table.hpp"
#include "net/timer_wheel.hpp"

namespace websocket::net {

/// What a timer does. Destroyed when the timer has ended. [loop]
class TimerTask {
public:
    TimerTask() noexcept = default;
    TimerTask(const TimerTask&) = delete;
    TimerTask& operator=(const TimerTask&) = delete;
    virtual ~TimerTask() = default;

    /// May start and cancel timers, also its own.
    virtual void fire() noexcept = 0;
};

/// Times count from the loop's start. [loop]
class Timers {
public:
    /// Finer than that of connections: a timer is never early and at most twice this late.
    static constexpr std::chrono::milliseconds kTick{4};
    /// The wheel's clock wraps after twice as long.
    static constexpr std::chrono::milliseconds kLongest{std::chrono::hours{24 * 49}};

    /// When a timer fires, and every how long again; a `period` of 0 fires once.
    struct Times {
        std::chrono::milliseconds first;
        std::chrono::milliseconds period;
    };
    /// Starts a timer of this number. Throws std::bad_alloc.
    void start(std::uint64_t number, OwnerId owner, const Times& times,
               std::unique_ptr<TimerTask> task);
    void cancel(std::uint64_t number) noexcept;
    void cancel_all(OwnerId owner) noexcept;
    void cancel_all() noexcept;

    /// Fires what is due at `now`.
    void advance(std::chrono::milliseconds now) noexcept;
    /// Time from `now` to the next look at the timers; `most` when there is none before that.
    [[nodiscard]] std::chrono::milliseconds timeout(std::chrono::milliseconds now,
                                                    std::chrono::milliseconds most) const noexcept;

private:
    struct Timer : TimerNode {
        std::uint64_t number = 0;
        Tick period = 0;
        std::unique_ptr<TimerTask> task;
    };
    [[nodiscard]] static constexpr Tick ticks(std::chrono::milliseconds duration) noexcept {
        return static_cast<Tick>((duration + kTick - std::chrono::milliseconds{1}) / kTick);
    }
    void fire(Timer& timer) noexcept;

    TimerWheel wheel_{kTick};
    Tick now_ = 0;
    OwnedTable<Timer> timers_;
    Timer* firing_ = nullptr;
    bool firing_cancelled_ = false;
};

}  // namespace websocket::net
