// SPDX-License-Identifier: Apache-2.0
// Who is present in another host, as far as this one has been told.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/sip_hash.hpp"
#include "bridge/presence_message.hpp"
#include "hub/presence_store.hpp"

namespace websocket::bridge {

/// Enters the members of one host in the memory of this one. They stay, until the host says otherwise, is silent, or the
/// memory is not looked after by any bridge. [loop]
class RemotePresence {
public:
    /// How the memory took what came.
    struct Outcome {
        std::set<std::string, std::less<>> topics;  ///< that have changed: hub::TopicKey::bytes()
        bool full = false;                          ///< somebody could not be entered
    };

    RemotePresence(const hub::PresenceStore& store, const base::HashKey& hash_key,
                   std::uint64_t host) noexcept
        : store_(store), hash_key_(hash_key), host_(host) {}
    RemotePresence(const RemotePresence&) = delete;
    RemotePresence& operator=(const RemotePresence&) = delete;

    /// It was heard, so it is there until then. False when there are too many hosts. Throws std::bad_alloc.
    [[nodiscard]] bool renew(hub::PresenceStore::Time until);
    /// What its bridge tells, and the number of the last message with changes. Not before renew(), nor when that has
    /// returned false. Throws std::bad_alloc.
    void hear(std::uint64_t bridge, std::uint64_t sequence, const PresenceMessage& message,
              std::chrono::milliseconds now, Outcome& outcome);
    /// It is no more. Throws std::bad_alloc.
    void end(Outcome& outcome);

    /// Its state is not known: the host is to be asked now. True once, and again if nothing comes.
    [[nodiscard]] bool is_time_to_ask(std::chrono::milliseconds now) noexcept;
    [[nodiscard]] bool is_known() const noexcept { return phase_ == Phase::known; }
    [[nodiscard]] std::uint64_t bridge() const noexcept { return bridge_; }
    [[nodiscard]] std::chrono::milliseconds heard() const noexcept { return heard_; }

private:
    enum class Phase : std::uint8_t {
        unknown,
        told,  ///< the beginning of the state has come
        known,
    };
    struct Known {
        std::uint64_t info;   ///< its hash
        std::uint32_t round;  ///< the last state that it was in
    };
    using Members = std::unordered_map<std::string, Known>;

    [[nodiscard]] bool adopt();
    void lose(std::chrono::milliseconds now) noexcept;
    [[nodiscard]] bool apply(std::string_view changes, Outcome& outcome);
    [[nodiscard]] bool enter(const PresenceChange& change, Outcome& outcome);
    [[nodiscard]] bool leave(const PresenceChange& change, Outcome& outcome);
    [[nodiscard]] bool forget_untold(Outcome& outcome);
    [[nodiscard]] std::uint64_t hash(std::string_view info) const noexcept {
        return base::sip_hash(hash_key_, info);
    }

    hub::PresenceStore store_;
    const base::HashKey hash_key_;
    const std::uint64_t host_;
    std::optional<hub::PresenceStore::Self> self_;
    std::map<std::string, Members, std::less<>> topics_;
    std::uint64_t bridge_ = 0;
    std::uint64_t sequence_ = 0;
    Phase phase_ = Phase::unknown;
    std::uint32_t round_ = 0;
    bool incomplete_ = false;  ///< somebody of this round was not entered
    std::chrono::milliseconds heard_{0};
    std::chrono::milliseconds ask_at_{0};
};

}  // namespace websocket::bridge
