// SPDX-License-Identifier: Apache-2.0
// Who is present in this host, and what of it other hosts have still to be told.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "base/sip_hash.hpp"
#include "hub/presence_store.hpp"

namespace websocket::bridge {

/// Copies the members that processes of this host have, and makes messages of how they change; of all of them when
/// somebody asks. What changes while a message waits is told once, as it is then, so it never takes more than the members
/// do. Messages are counted, so that others see when they have missed one: then they ask. [loop]
class LocalPresence {
public:
    /// Bytes of changes in a message, and those of one change.
    static constexpr std::size_t kPart = std::size_t{32} << 10;
    /// Changes that wait; more of them are a hole.
    static constexpr std::size_t kMostUntold = 100'000;
    /// Between two looks at all topics that nobody has called for.
    static constexpr std::chrono::milliseconds kLookPause{5000};

    LocalPresence(const hub::PresenceStore& store, const base::HashKey& hash_key)
        : store_(store), hash_key_(hash_key) {}

    /// The topic may have changed: hub::TopicKey::bytes(). Throws std::bad_alloc.
    void look_at(std::string_view key);
    /// Looks at all topics if something has changed of which nobody tells: once at first, then when a process has ended, and
    /// now and then. To be called once a second or so. Throws std::bad_alloc.
    void look_around(std::chrono::milliseconds now);

    /// Somebody wants to know all; at the earliest a second after the last time.
    void want_state() noexcept { state_wanted_ = true; }
    /// What waits cannot be sent: others will see that something is missing.
    void skip() noexcept;

    /// The next PresenceMessage, which counts as sent; nothing when there is none now. Throws std::bad_alloc.
    [[nodiscard]] std::optional<std::string> next(std::chrono::milliseconds now);
    /// How many of them there were.
    [[nodiscard]] std::uint64_t sequence() const noexcept { return sequence_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

private:
    using Members = std::map<std::string, std::string, std::less<>>;  // id, info

    void compare(const std::string& key, Members now);
    void note(const std::string& key, const std::string& id);
    [[nodiscard]] bool is_time_for_state(std::chrono::milliseconds now) const noexcept;
    [[nodiscard]] std::string take_changes();
    [[nodiscard]] std::string take_state(std::uint8_t& flags);

    hub::PresenceStore store_;
    const base::HashKey hash_key_;
    std::map<std::string, Members, std::less<>> topics_;
    std::size_t size_ = 0;
    std::set<std::pair<std::string, std::string>> untold_;  // topic, id
    std::uint64_t sequence_ = 0;

    bool look_at_all_ = true;    ///< before a state is told, too
    std::uint64_t changes_ = 0;  // of the store, as the next one, when it was last looked at all
    std::uint64_t ends_ = 0;
    std::chrono::milliseconds looked_{0};

    bool state_wanted_ = false;
    std::optional<std::chrono::milliseconds> state_begun_;
    std::optional<std::pair<std::string, std::string>> told_to_;  // topic, id: while it is told
};

}  // namespace websocket::bridge
