// SPDX-License-Identifier: Apache-2.0
// What a process tells the bridge to other hosts: which topics have subscribers here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/shared_frame.hpp"
#include "hub/bus.hpp"
#include "hub/outgoing_link.hpp"
#include "hub/topic_key.hpp"
#include "net/inbox.hpp"
#include "net/reactor.hpp"

namespace websocket::hub {

/// As records whose frame is no message: a Ping for a topic that is wanted, a Pong for one that no longer is. A bridge
/// that is new is told all. What it has not taken yet waits once for each topic, however often that has changed.
class InterestFeed {
public:
    /// The thread of the reactor takes what others note.
    explicit InterestFeed(const net::Reactor& reactor) : inbox_(reactor) {}

    /// Throws std::bad_alloc and has then done nothing. Calls do not overlap. [any thread]
    void note(const TopicKey& key, bool wanted);
    /// As note(), but tells the bridge of everything anew when memory runs out. [any thread]
    void note_removed(const TopicKey& key) noexcept;

    // [bus]
    /// Whom it tells; 0 for nobody.
    [[nodiscard]] std::uint64_t bridge() const noexcept { return bridge_; }
    [[nodiscard]] std::uint32_t slot() const noexcept { return slot_; }
    /// Tells this one from now on. Throws std::bad_alloc.
    void begin(std::uint64_t bridge, std::uint32_t slot, Bus::Receiver& receiver);
    /// Tells nobody any more.
    void forget() noexcept;
    /// Takes what was noted. Throws std::bad_alloc.
    void take();
    [[nodiscard]] bool empty() const noexcept { return changes_.empty(); }
    /// Queues what has room. Throws std::bad_alloc.
    void push(OutgoingLink& link, std::size_t limit);

    /// Of a record's frame that is no message.
    [[nodiscard]] static bool is_wanted(const engine::SharedFrame& frame) noexcept {
        return frame.opcode() == protocol::Opcode::ping;
    }

private:
    struct Change {
        std::string key;  ///< as in TopicKey::bytes()
        bool wanted;
    };

    net::Inbox<Change> inbox_;
    std::atomic<bool> incomplete_{false};  ///< a change was not noted
    std::uint64_t bridge_ = 0;
    std::uint32_t slot_ = 0;
    std::vector<Change> batch_;
    std::unordered_map<std::string, bool> changes_;
};

}  // namespace websocket::hub
