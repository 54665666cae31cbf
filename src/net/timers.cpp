// SPDX-License-Identifier: Apache-2.0
#include "net/timers.hpp"

#include <algorithm>
#include <utility>

namespace websocket::net {

void Timers::start(std::uint64_t number, OwnerId owner, const Times& times,
                   std::unique_ptr<TimerTask> task) {
    auto timer = std::make_unique<Timer>();
    timer->number = number;
    timer->period = times.period.count() > 0 ? std::max<Tick>(1, ticks(times.period)) : 0;
    timer->task = std::move(task);
    // The clock has cut off a part of a millisecond.
    wheel_.arm(timers_.add(number, owner, std::move(timer)),
               ticks(times.first + std::chrono::milliseconds{1}));
}

void Timers::cancel(std::uint64_t number) noexcept {
    std::unique_ptr<Timer> timer = timers_.take(number);
    if (timer == nullptr) {
        return;
    }
    wheel_.cancel(*timer);
    if (timer.get() == firing_) {
        firing_cancelled_ = true;
        static_cast<void>(timer.release());  // its task is on the stack: fire() deletes it
    }
}

void Timers::cancel_all(OwnerId owner) noexcept {
    std::uint64_t number = 0;
    while ((number = timers_.any_of(owner)) != 0) {
        cancel(number);
    }
}

void Timers::cancel_all() noexcept {
    std::uint64_t number = 0;
    while ((number = timers_.any()) != 0) {
        cancel(number);
    }
}

void Timers::advance(std::chrono::milliseconds now) noexcept {
    now_ = wheel_.tick_of(now);
    wheel_.advance(now_, [this](TimerNode& node) { fire(static_cast<Timer&>(node)); });
}

void Timers::fire(Timer& timer) noexcept {
    firing_ = &timer;
    firing_cancelled_ = false;
    timer.task->fire();
    firing_ = nullptr;
    if (firing_cancelled_) {
        const std::unique_ptr<Timer> ended(&timer);
    } else if (timer.period > 0) {
        // No backlog: calls that were missed while the loop was busy are not made up for.
        wheel_.arm(timer, now_ + timer.period);
    } else {
        cancel(timer.number);
    }
}

std::chrono::milliseconds Timers::timeout(std::chrono::milliseconds now,
                                          std::chrono::milliseconds most) const noexcept {
    return wheel_.timeout(now, most);
}

}  // namespace websocket::net
