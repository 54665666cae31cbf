// SPDX-License-Identifier: Apache-2.0
// Closing all connections of a loop, one after the other, so that their clients do not all come back
// at once.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "protocol/close_code.hpp"

namespace websocket::engine {

class Channel;
class SlotTable;

/// Until when everything is to be closed, and with which code.
struct DrainOrder {
    /// Asked for each Close anew: why a process ends may become clear while it does. [loop]
    using ChooseCode = protocol::CloseCode (*)() noexcept;

    std::chrono::steady_clock::time_point deadline;
    ChooseCode code;
};

/// The last order. Async-signal-safe. [any thread]
class DrainRequest {
public:
    /// Of several deadlines the first one counts.
    void put(const DrainOrder& order) noexcept;
    /// Only when there is one.
    [[nodiscard]] DrainOrder get() const noexcept;

private:
    using Clock = std::chrono::steady_clock;

    std::atomic<Clock::rep> deadline_{Clock::time_point::max().time_since_epoch().count()};
    std::atomic<DrainOrder::ChooseCode> code_{nullptr};
};

/// How connections were closed in the end of a process.
struct Departures {
    std::uint32_t in_order = 0;  ///< between messages, all of them answered
    std::uint32_t forced = 0;    ///< inside a message, or with messages that were not answered
};

/// How many connections are to be told by when. Times are those of any one clock.
class DrainSchedule {
public:
    using Time = std::chrono::milliseconds;

    /// The time that is left for answers and closing handshakes behind the last Close: a quarter,
    /// at most this.
    static constexpr Time kMaxReserve{1000};

    DrainSchedule() noexcept = default;
    DrainSchedule(Time now, Time deadline, std::size_t connections) noexcept;

    /// How many should have been told by `now`; all of them from the end of the spread on. Never
    /// decreases, and grows by one at a time as evenly as milliseconds allow.
    [[nodiscard]] std::size_t due(Time now) const noexcept;
    /// When the next one is due if `told` have been told.
    [[nodiscard]] Time next(std::size_t told) const noexcept;

    /// One more has to be told.
    void add() noexcept { ++connections_; }

    [[nodiscard]] bool spread_over(Time now) const noexcept { return now >= end_; }
    [[nodiscard]] bool over(Time now) const noexcept { return now >= deadline_; }
    [[nodiscard]] Time deadline() const noexcept { return deadline_; }

private:
    Time start_{0};
    Time end_{0};  ///< of the spread
    Time deadline_{0};
    std::size_t connections_ = 0;
};

/// Carries an order out. [loop]
class Drain {
public:
    using Time = DrainSchedule::Time;

    explicit Drain(SlotTable& slots) noexcept : slots_(slots) {}

    /// Begins, or changes what goes on: the deadline may only come closer. `deadline` and `now` are
    /// times of the loop's clock.
    void begin(Time deadline, DrainOrder::ChooseCode choose, Time now,
               std::size_t connections) noexcept;

    /// One whose handshake was under way has come in.
    void accept(Channel& channel, Time now);
    /// Does what is due, for a limited number of slots.
    void advance(Time now);

    [[nodiscard]] bool active() const noexcept { return active_; }
    [[nodiscard]] bool over(Time now) const noexcept { return active_ && schedule_.over(now); }
    /// How long advance() has nothing to do; zero when it has. At least kStep otherwise, so that a
    /// million connections cause no million wake-ups.
    [[nodiscard]] Time rest(Time now) const noexcept;

    [[nodiscard]] protocol::CloseCode code() const noexcept { return code_(); }
    /// What a Close with this code gives as its reason.
    [[nodiscard]] static const char* reason(protocol::CloseCode code) noexcept;
    /// Connections that have been told in this drain.
    [[nodiscard]] std::size_t told() const noexcept { return told_; }

private:
    static constexpr Time kStep{10};
    static constexpr std::uint32_t kSlotsAStep = 4096;

    [[nodiscard]] Time left(Time now) const noexcept;

    SlotTable& slots_;
    DrainSchedule schedule_;
    DrainOrder::ChooseCode code_ = nullptr;
    bool active_ = false;
    bool behind_ = false;          ///< more is due than one step allowed
    bool finished_ = false;        ///< nobody is left to tell
    std::uint32_t announced_ = 0;  ///< sessions in slots before this one know
    std::uint32_t visited_ = 0;    ///< slots before this one had their turn
    std::size_t told_before_ = 0;  ///< when the schedule was made
    std::size_t told_ = 0;
};

}  // namespace websocket::engine
