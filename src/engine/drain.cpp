// SPDX-License-Identifier: Apache-2.0
#include "engine/drain.hpp"

#include <algorithm>
#include <limits>

#include "engine/channel.hpp"
#include "engine/slot_table.hpp"

namespace websocket::engine {

void DrainRequest::put(const DrainOrder& order) noexcept {
    code_.store(order.code);
    const Clock::rep wanted = order.deadline.time_since_epoch().count();
    Clock::rep known = deadline_.load();
    while (wanted < known && !deadline_.compare_exchange_weak(known, wanted)) {
    }
}

DrainOrder DrainRequest::get() const noexcept {
    return {Clock::time_point{Clock::duration{deadline_.load()}}, code_.load()};
}

DrainSchedule::DrainSchedule(Time now, Time deadline, std::size_t connections) noexcept
    : start_(now), deadline_(std::max(now, deadline)), connections_(connections) {
    end_ = deadline_ - std::min(kMaxReserve, (deadline_ - start_) / 4);
}

// Each has a part of the spread for itself and is told in the middle of it, so that a single one is
// neither told at once nor at the last moment.
std::size_t DrainSchedule::due(Time now) const noexcept {
    if (spread_over(now)) {
        return std::numeric_limits<std::size_t>::max();
    }
    if (now < start_) {
        return 0;
    }
    const auto span = static_cast<std::size_t>((end_ - start_).count());
    const auto elapsed = static_cast<std::size_t>((now - start_).count());
    return (2 * connections_ * elapsed + span) / (2 * span);
}

DrainSchedule::Time DrainSchedule::next(std::size_t told) const noexcept {
    if (told >= connections_) {
        return end_;
    }
    const auto span = static_cast<std::size_t>((end_ - start_).count());
    const std::size_t parts = 2 * connections_;
    return std::min(end_, start_ + Time((span * (2 * told + 1) + parts - 1) / parts));
}

void Drain::begin(Time deadline, DrainOrder::ChooseCode choose, Time now,
                  std::size_t connections) noexcept {
    code_ = choose;
    if (active_ && deadline >= schedule_.deadline()) {
        return;
    }
    schedule_ = DrainSchedule(now, deadline, connections);
    told_before_ = told_;
    active_ = true;
}

void Drain::accept(Channel& channel, Time now) {
    channel.announce_drain(left(now));
    schedule_.add();
    visited_ = std::min(visited_, channel.id().slot());
}

void Drain::advance(Time now) {
    const Time time_left = left(now);
    behind_ = slots_.for_some(announced_, kSlotsAStep, [time_left](Channel& channel) {
        channel.announce_drain(time_left);
        return true;
    });
    const std::size_t due = schedule_.due(now);
    const bool more = slots_.for_some(visited_, kSlotsAStep, [this, due](Channel& channel) {
        if (told_ - told_before_ >= due) {
            return false;
        }
        const protocol::CloseCode chosen = code_();
        told_ += channel.leave(chosen, reason(chosen)) ? 1U : 0U;
        return true;
    });
    behind_ = behind_ || more;
    finished_ = visited_ >= slots_.capacity();
}

Drain::Time Drain::rest(Time now) const noexcept {
    if (behind_) {
        return Time{0};
    }
    const Time next = finished_ || schedule_.spread_over(now)
                          ? schedule_.deadline()
                          : schedule_.next(told_ - told_before_);
    return std::max(kStep, next - now);
}

Drain::Time Drain::left(Time now) const noexcept {
    return std::max(Time{0}, schedule_.deadline() - now);
}

const char* Drain::reason(protocol::CloseCode code) noexcept {
    return code == protocol::CloseCode::going_away ? "server is stopping" : "connect again";
}

}  // namespace websocket::engine
