// SPDX-License-Identifier: Apache-2.0
// What one thread waits for: descriptors, times, and other threads that wake it.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/descriptor.hpp"
#include "base/wake_event.hpp"
#include "net/timer_wheel.hpp"
#include "net/timers.hpp"

namespace websocket::net {

/// Has a descriptor polled, or a time to wait for, or both: one of each. Must not be destroyed while a
/// reactor knows of either. [loop]
class EventHandler : public TimerNode {
public:
    EventHandler() noexcept = default;
    EventHandler(const EventHandler&) = delete;
    EventHandler& operator=(const EventHandler&) = delete;

    /// The descriptor is ready for `events` (epoll's bits). Throws std::bad_alloc only.
    virtual void on_ready(std::uint32_t /*events*/) {}
    /// The time that was set has come. It may be set anew.
    virtual void on_time() noexcept {}

protected:
    ~EventHandler() = default;
};

/// Waits, and calls who waits for what has happened; in which order, and what happens in between, its
/// owner decides: a turn is wait(), dispatch() and fire_timers(). All belongs to one thread, but what
/// says otherwise. [loop]
class Reactor {
public:
    /// `tick` is how fine the clock of EventHandler::on_time() is. Throws std::system_error without
    /// descriptors, std::bad_alloc without memory.
    explicit Reactor(std::chrono::milliseconds tick);
    Reactor(const Reactor&) = delete;
    Reactor& operator=(const Reactor&) = delete;

    // --- a turn ---

    struct Waited {
        bool woken;        ///< wake() was called
        bool interrupted;  ///< by a signal: with all blocked, the process was stopped
        std::chrono::milliseconds limit;  ///< how long it would have waited
    };
    /// Waits at most so long, or until the next time that anybody waits for. Reads the clock.
    Waited wait(std::chrono::milliseconds most) noexcept;
    /// Calls on_ready() for all that wait() has found. Throws std::bad_alloc, and
    /// has then left some out, which are found again.
    void dispatch() {
        static_cast<void>(dispatch([] { return true; }));
    }
    /// The same, with `go_on()` behind each of them: false as soon as that is.
    template <class GoOn>
    [[nodiscard]] bool dispatch(GoOn go_on) {
        while (!ready_.empty()) {
            const epoll_event event = ready_.front();
            ready_ = ready_.subspan(1);
            if (event.data.ptr != nullptr) {
                static_cast<EventHandler*>(event.data.ptr)->on_ready(event.events);
            }
            if (!go_on()) {
                return false;
            }
        }
        return true;
    }
    /// Calls whose time has come.
    void fire_timers() noexcept;

    /// Ends wait(), or the next one. Async-signal-safe. [any thread]
    void wake() const noexcept { wake_.wake(); }

    // --- descriptors ---

    /// Polls it for `events` from now on. False, with errno, when the kernel refuses. [any thread]
    [[nodiscard]] bool add(int descriptor, EventHandler& handler, std::uint32_t events) noexcept;
    /// The same for one that is polled already.
    [[nodiscard]] bool change(int descriptor, EventHandler& handler, std::uint32_t events) noexcept;
    /// The handler hears no more of it, also of what wait() has found.
    void remove(int descriptor, const EventHandler& handler) noexcept;

    // --- time ---

    /// Since the reactor was made, as of the last wait().
    [[nodiscard]] std::chrono::milliseconds time() const noexcept { return time_; }
    /// The same in ticks.
    [[nodiscard]] Tick now() const noexcept { return now_; }
    /// The same clock, read now. [any thread]
    [[nodiscard]] std::chrono::milliseconds elapsed() const noexcept;
    [[nodiscard]] std::chrono::steady_clock::time_point start() const noexcept { return start_; }
    /// Has on_time() called in the tick `deadline`, or in the next one when that is over; instead of
    /// what was set before.
    void set_time(EventHandler& handler, Tick deadline) noexcept { wheel_.arm(handler, deadline); }
    /// The same so much time from now, not from the last wait(); never early.
    void set_delay(EventHandler& handler, std::chrono::milliseconds delay) noexcept {
        // The clock has cut off a part of a millisecond, and of a tick.
        constexpr std::chrono::milliseconds kCut{1};
        wheel_.arm(handler, wheel_.tick_of(elapsed() + delay + kCut) + 1);
    }
    void clear_time(EventHandler& handler) noexcept { wheel_.cancel(handler); }
    [[nodiscard]] Timers& timers() noexcept { return timers_; }

private:
    static constexpr std::size_t kMaxEvents = 512;

    void read_clock() noexcept;
    [[nodiscard]] bool control(int operation, int descriptor, EventHandler& handler,
                               std::uint32_t events) noexcept;

    base::Descriptor epoll_;
    base::WakeEvent wake_;
    std::chrono::steady_clock::time_point start_;
    std::chrono::milliseconds time_{0};
    Tick now_ = 0;
    TimerWheel wheel_;
    Timers timers_;
    std::unique_ptr<std::array<epoll_event, kMaxEvents>> events_;
    std::span<epoll_event> ready_;  ///< of events_, not dispatched yet
};

}  // namespace websocket::net
