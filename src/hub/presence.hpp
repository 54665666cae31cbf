// SPDX-License-Identifier: Apache-2.0
// What this process knows of presence: which of its connections makes whom a member, and who watches.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/log.hpp"
#include "hub/hub.hpp"
#include "hub/presence_store.hpp"

namespace websocket::hub {

/// Members of a topic are so by connections, with which they end. The memory says who is there; a change is told to
/// other processes by a message without content in a scope of its own, which makes them look. [any thread]
class Presence {
public:
    /// A connection is in so many topics at most.
    static constexpr std::size_t kMaxOfConnection = 100;

    /// All outlive it; `hash_key` as the hub's.
    Presence(const PresenceStore& store, Hub& hub, const base::HashKey& hash_key,
             base::Log& log) noexcept
        : store_(store), hub_(hub), hash_key_(hash_key), log_(log) {}

    /// The connection stands for a member; for another one, or with another info, if it did so before. Throws
    /// std::bad_alloc.
    [[nodiscard]] TopicResult enter(std::string_view scope, std::string_view topic,
                                    engine::ConnectionId connection, std::string_view id,
                                    std::string_view info);
    void leave(std::string_view scope, std::string_view topic,
               engine::ConnectionId connection) noexcept;
    void leave_all(engine::ConnectionId connection) noexcept;

    /// By their ids. Throws std::bad_alloc.
    [[nodiscard]] std::optional<std::vector<Member>> members(std::string_view scope,
                                                             std::string_view topic);
    [[nodiscard]] std::uint64_t changes() const noexcept { return store_.changes(); }

    /// Somebody here listens in watch_scope(). Throws std::bad_alloc.
    void begin_watch(std::string_view scope, std::string_view topic);
    void end_watch(std::string_view scope, std::string_view topic) noexcept;
    /// To be called once a second or so: makes who watches look, if something has changed, because a process that was killed
    /// told nobody.
    void look_after() noexcept;

private:
    using Place = std::pair<std::string, std::string>;  // scope, topic
    using Names = std::map<Place, std::string>;         // id of the member

    void leave(const Place& place, const std::string& id) noexcept;
    void tell(const Place& place) noexcept;

    PresenceStore store_;
    Hub& hub_;
    const base::HashKey hash_key_;
    base::Log& log_;
    std::mutex mutex_;  // guards what follows
    std::optional<PresenceStore::Self> self_;
    std::map<std::uint64_t, Names> connections_;  // by their ids
    std::map<std::pair<Place, std::string>, std::uint32_t>
        members_;  // connections that stand for each
    std::map<Place, std::uint32_t> watched_;
    std::uint64_t seen_ = 0;  // changes, by look_after()
};

}  // namespace websocket::hub
