// SPDX-License-Identifier: Apache-2.0
// Who subscribes to what in this process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/connection_id.hpp"
#include "engine/groups.hpp"
#include "hub/history_store.hpp"
#include "hub/position.hpp"
#include "hub/topic_key.hpp"

namespace websocket::hub {

class TopicListener;

/// What one part of this process, with the connections of its location, may take of the topics. A topic
/// counts for who wanted it first, until it vanishes.
struct TopicQuota {
    std::size_t most = 0;  ///< topics; 0 for three quarters of HubOptions::max_topics
    /// Topics that one connection may subscribe to: clients often choose which.
    std::uint32_t most_of_connection = 100;
    std::size_t used = 0;  ///< the table's
};

/// A topic that has subscribers or listeners here.
struct Topic {
    /// Subscribers on one loop.
    struct Share {
        std::uint32_t loop;
        std::uint32_t subscribers;
    };
    engine::GroupId group = 0;
    std::vector<Share> shares;  ///< of the loops that have any
    std::vector<std::shared_ptr<TopicListener>> listeners = {};
    TopicQuota* quota = nullptr;             ///< what it counts for; null for none
    const HistoryLimits* history = nullptr;  ///< null for a topic without
    Position delivered = {};  ///< with history: of the last message that all here have got

    [[nodiscard]] bool wanted() const noexcept { return !shares.empty() || !listeners.empty(); }
};

/// A topic without subscribers, and a connection without subscriptions, take no memory. Not safe
/// for threads.
class TopicTable {
    struct Name {
        std::string bytes;
        std::uint64_t hash;
    };

public:
    using Entry = std::pair<const Name, Topic>;

    [[nodiscard]] Entry* find(const TopicKey& key) noexcept;
    /// The topic, perhaps new and without subscribers: then it counts for `quota`, if any, which
    /// outlives it. Throws std::bad_alloc.
    [[nodiscard]] Entry& find_or_add(const TopicKey& key, TopicQuota* quota = nullptr);
    /// Forgets a topic that nobody wants.
    void drop(Entry& topic) noexcept;

    [[nodiscard]] bool is_subscribed(engine::ConnectionId id, const Entry& topic) const noexcept;
    /// It is not subscribed yet. Throws std::bad_alloc and has then done nothing.
    void subscribe(engine::ConnectionId id, Entry& topic);
    /// It is subscribed.
    void unsubscribe(engine::ConnectionId id, Entry& topic) noexcept;
    /// A topic that the connection subscribes to; null when there is none.
    [[nodiscard]] Entry* any_of(engine::ConnectionId id) noexcept;

    /// Calls `each(const Entry&)`.
    template <class Each>
    void for_each(Each each) const {
        for (const Entry& topic : topics_) {
            each(topic);
        }
    }

    [[nodiscard]] std::size_t topics() const noexcept { return topics_.size(); }
    [[nodiscard]] std::size_t subscriptions() const noexcept { return subscriptions_; }
    [[nodiscard]] std::size_t subscriptions_of(engine::ConnectionId id) const noexcept;

    /// Calls visit(entry) for all.
    template <class Visit>
    void for_each(Visit visit) {
        for (Entry& topic : topics_) {
            visit(topic);
        }
    }

    /// As in TopicKey::bytes().
    [[nodiscard]] static std::string_view bytes(const Entry& topic) noexcept {
        return topic.first.bytes;
    }

private:
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(const Name& name) const noexcept { return name.hash; }
        std::size_t operator()(const TopicKey& key) const noexcept { return key.hash(); }
    };
    struct Equal {
        using is_transparent = void;
        bool operator()(const Name& a, const Name& b) const noexcept { return a.bytes == b.bytes; }
        bool operator()(const TopicKey& key, const Name& name) const noexcept {
            return key.bytes() == name.bytes;
        }
        bool operator()(const Name& name, const TopicKey& key) const noexcept {
            return key.bytes() == name.bytes;
        }
    };
    using Subscriptions = std::vector<Entry*>;  // sorted

    engine::GroupId last_group_ = 0;
    std::size_t subscriptions_ = 0;
    std::unordered_map<Name, Topic, Hash, Equal> topics_;
    std::unordered_map<std::uint64_t, Subscriptions> subscribers_;  // by the connection's id
};

}  // namespace websocket::hub
