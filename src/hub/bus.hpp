// SPDX-License-Identifier: Apache-2.0
// How publications reach subscribers of other processes, of this host or of others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>

#include "engine/shared_frame.hpp"
#include "hub/drops.hpp"
#include "hub/gap.hpp"
#include "hub/topic_key.hpp"

namespace websocket::hub {

/// Answer to a publication that is to leave the process.
enum class BusResult : std::uint8_t {
    ok,           ///< on its way, or nobody wants it
    full,         ///< not sent: too much waits already
    no_memory,    ///< not sent
    unavailable,  ///< not sent: no thread or descriptor for it, or the bus has stopped
};

/// Never blocks, never throws. Publications of one thread arrive in order wherever they arrive.
class Bus {
public:
    /// Called on a thread of the bus; has to return soon.
    class Receiver {
    public:
        virtual ~Receiver() = default;
        /// `frame` is a whole text or binary frame as a server writes it. [bus]
        virtual void receive(const TopicKey& key, const engine::SharedFrame& frame) noexcept = 0;
        /// Calls `each` with the TopicKey::bytes() of all topics that add_interest() was called for, and
        /// remove_interest() not yet; calls of these two wait meanwhile. May throw std::bad_alloc. [bus]
        virtual void list_interests(const std::function<void(std::string_view)>& /*each*/) {}
        /// Messages of a topic, by its TopicKey::bytes(), or of kAllTopics, may not have come here. At most one a second
        /// for each. False: it could not be passed on, and comes again. [bus]
        [[nodiscard]] virtual bool on_gap(std::string_view /*key*/, GapReason /*why*/) noexcept {
            return true;
        }
        /// What order() has taken has nobody who gives it a position any more. [bus]
        virtual void take_back(const TopicKey& /*key*/,
                               const engine::SharedFrame& /*frame*/) noexcept {}
    };

    Bus() noexcept = default;
    Bus(const Bus&) = delete;
    Bus& operator=(const Bus&) = delete;
    virtual ~Bus() = default;

    /// Before everything else. Both outlive the bus or its threads.
    virtual void attach(Receiver& receiver, Drops& losses) noexcept = 0;

    /// This process has got its first subscriber of the topic, or lost its last one. What others
    /// publish once add_interest() has returned true reaches the receiver; so may what nobody here
    /// subscribes to. Calls of these two do not overlap. [any thread]
    [[nodiscard]] virtual bool add_interest(const TopicKey& key) noexcept = 0;
    virtual void remove_interest(const TopicKey& key) noexcept = 0;

    /// How many subscribers the topic has in this process, for others to see: whenever it changes, between the two
    /// above. Calls do not overlap. [any thread]
    virtual void show_subscribers(const TopicKey& key, std::uint64_t count) noexcept = 0;
    /// How many it has in the other processes that can be seen. [any thread]
    [[nodiscard]] virtual std::uint64_t subscribers(const TopicKey& key) const noexcept = 0;

    /// False when surely no other process has a subscriber. [any thread]
    [[nodiscard]] virtual bool wanted(const TopicKey& key) const noexcept = 0;

    /// Sends a frame to the other processes; it does not come back to the receiver. [any thread]
    [[nodiscard]] virtual BusResult publish(const TopicKey& key,
                                            const engine::SharedFrame& frame) noexcept = 0;

    /// Tells the other processes that want the topic, or all of them for kAllTopics, that messages of it may be missing.
    /// Never fails: what has no room waits, and may become a gap of all topics. [any thread]
    virtual void tell_gap(std::string_view key, GapReason why) noexcept = 0;
    /// Whether topics with history are put in order, for all hosts, by who gets what order() is given. [any thread]
    [[nodiscard]] virtual bool is_ordered() const noexcept { return false; }
    /// Sends a frame of such a topic, with its origin, there alone; it comes back to the receiver with its position.
    /// [any thread]
    [[nodiscard]] virtual BusResult order(const TopicKey& /*key*/,
                                          const engine::SharedFrame& /*frame*/) noexcept {
        return BusResult::unavailable;
    }

    /// Makes a thread of the bus call Drops::report() in a second or so. [any thread]
    virtual void report_soon() noexcept = 0;

    /// Sends what is under way within kStopTimeout and ends. Async-signal-safe. [any thread]
    virtual void begin_stop() noexcept = 0;
    /// True when no thread of the bus runs. Async-signal-safe. [any thread]
    [[nodiscard]] virtual bool stopped() const noexcept = 0;
};

}  // namespace websocket::hub
