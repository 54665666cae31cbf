// SPDX-License-Identifier: Apache-2.0
#include "hub/presence.hpp"

#include <chrono>
#include <utility>

#include "hub/watch_scope.hpp"

namespace websocket::hub {

using engine::ConnectionId;

TopicResult Presence::enter(std::string_view scope, std::string_view topic, ConnectionId connection,
                            std::string_view id, std::string_view info) {
    const auto key = TopicKey::make(scope, topic, hash_key_);
    if (!key || id.empty() || id.size() > PresenceStore::kMaxId ||
        info.size() > PresenceStore::kMaxInfo) {
        return TopicResult::bad_name;
    }
    const Place place(scope, topic);
    {
        const std::lock_guard lock(mutex_);
        if (!self_) {
            self_ = store_.claim();
        }
        if (!self_) {
            return TopicResult::unavailable;
        }
        const auto known = connections_.find(connection.value());
        if (known != connections_.end() && known->second.size() >= kMaxOfConnection &&
            !known->second.contains(place)) {
            return TopicResult::too_many_subscriptions;
        }
        std::string chosen(id);
        std::string& name = connections_[connection.value()][place];  // empty: of nobody yet
        std::uint32_t& count = members_[{place, chosen}];
        const PresenceStore::Result result = store_.enter(*key, *self_, id, info);
        if (result != PresenceStore::Result::ok) {
            if (count == 0) {
                members_.erase({place, chosen});
            }
            if (result == PresenceStore::Result::unavailable) {
                return TopicResult::unavailable;
            }
            log_.print(base::LogLevel::error,
                       "WS0514: nobody else can be present: the memory for it is full");
            return TopicResult::full;
        }
        if (name != chosen) {
            ++count;
            std::swap(name, chosen);
            leave(place, chosen);
        }
    }
    tell(place);
    return TopicResult::ok;
}

/// With the lock held.
void Presence::leave(const Place& place, const std::string& id) noexcept {
    const auto found = members_.find({place, id});
    if (found == members_.end() || --found->second > 0) {
        return;
    }
    members_.erase(found);
    if (const auto key = TopicKey::make(place.first, place.second, hash_key_)) {
        store_.leave(*key, *self_, id);
    }
}

void Presence::leave(std::string_view scope, std::string_view topic,
                     ConnectionId connection) noexcept {
    const Place place(scope, topic);
    {
        const std::lock_guard lock(mutex_);
        const auto found = connections_.find(connection.value());
        const auto name =
            found != connections_.end() ? found->second.find(place) : Names::iterator();
        if (found == connections_.end() || name == found->second.end()) {
            return;
        }
        leave(place, name->second);
        found->second.erase(name);
        if (found->second.empty()) {
            connections_.erase(found);
        }
    }
    tell(place);
}

void Presence::leave_all(ConnectionId connection) noexcept {
    Names gone;
    {
        const std::lock_guard lock(mutex_);
        const auto found = connections_.find(connection.value());
        if (found == connections_.end()) {
            return;
        }
        gone = std::move(found->second);
        connections_.erase(found);
        for (const auto& [place, id] : gone) {
            leave(place, id);
        }
    }
    for (const auto& [place, id] : gone) {
        tell(place);
    }
}

std::optional<std::vector<Member>> Presence::members(std::string_view scope,
                                                     std::string_view topic) {
    const auto key = TopicKey::make(scope, topic, hash_key_);
    return key ? store_.members(*key) : std::nullopt;
}

// --- who watches ---------------------------------------------------------------------------------

void Presence::tell(const Place& place) noexcept {
    static_cast<void>(
        hub_.publish(watch_scope(place.first), place.second, protocol::MessageType::binary, {}));
}

void Presence::begin_watch(std::string_view scope, std::string_view topic) {
    const std::lock_guard lock(mutex_);
    ++watched_[Place(scope, topic)];
}

void Presence::end_watch(std::string_view scope, std::string_view topic) noexcept {
    const std::lock_guard lock(mutex_);
    const auto found = watched_.find(Place(scope, topic));
    if (found != watched_.end() && --found->second == 0) {
        watched_.erase(found);
    }
}

void Presence::look_after() noexcept {
    std::map<Place, std::uint32_t> watched;
    store_.end_overdue_hosts(std::chrono::steady_clock::now());
    {
        const std::lock_guard lock(mutex_);
        if (std::exchange(seen_, store_.changes()) == store_.changes()) {
            return;
        }
        watched = watched_;
    }
    for (const auto& [place, count] : watched) {
        hub_.publish_here(watch_scope(place.first), place.second);
    }
}

}  // namespace websocket::hub
