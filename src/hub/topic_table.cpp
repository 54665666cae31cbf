// SPDX-License-Identifier: Apache-2.0
#include "hub/topic_table.hpp"

#include <algorithm>
#include <functional>

namespace websocket::hub {

namespace {

/// For pointers to different objects, which < need not order.
constexpr std::less<> kBefore;

}  // namespace

TopicTable::Entry* TopicTable::find(const TopicKey& key) noexcept {
    const auto found = topics_.find(key);
    return found != topics_.end() ? &*found : nullptr;
}

TopicTable::Entry& TopicTable::find_or_add(const TopicKey& key, TopicQuota* quota) {
    if (Entry* known = find(key)) {
        return *known;
    }
    Entry& made =
        *topics_.emplace(Name{std::string(key.bytes()), key.hash()}, Topic{++last_group_, {}})
             .first;
    made.second.quota = quota;
    if (quota != nullptr) {
        ++quota->used;
    }
    return made;
}

void TopicTable::drop(Entry& topic) noexcept {
    if (topic.second.quota != nullptr) {
        --topic.second.quota->used;
    }
    topics_.erase(topics_.find(topic.first));
}

bool TopicTable::is_subscribed(engine::ConnectionId id, const Entry& topic) const noexcept {
    const auto found = subscribers_.find(id.value());
    return found != subscribers_.end() &&
           std::ranges::binary_search(found->second, &topic, kBefore);
}

void TopicTable::subscribe(engine::ConnectionId id, Entry& topic) {
    std::vector<Topic::Share>& shares = topic.second.shares;
    auto share = std::ranges::find(shares, id.loop(), &Topic::Share::loop);
    if (share == shares.end()) {
        shares.reserve(shares.size() + 1);
        share = shares.end();
    }
    const auto subscriber = subscribers_.try_emplace(id.value()).first;
    Subscriptions& mine = subscriber->second;
    try {
        mine.insert(std::ranges::lower_bound(mine, &topic, kBefore), &topic);
    } catch (...) {
        if (mine.empty()) {
            subscribers_.erase(subscriber);
        }
        throw;
    }
    if (share == shares.end()) {
        share = shares.insert(share, {id.loop(), 0});
    }
    ++share->subscribers;
    ++subscriptions_;
}

void TopicTable::unsubscribe(engine::ConnectionId id, Entry& topic) noexcept {
    std::vector<Topic::Share>& shares = topic.second.shares;
    const auto share = std::ranges::find(shares, id.loop(), &Topic::Share::loop);
    if (--share->subscribers == 0) {
        shares.erase(share);
    }
    const auto subscriber = subscribers_.find(id.value());
    Subscriptions& mine = subscriber->second;
    mine.erase(std::ranges::lower_bound(mine, &topic, kBefore));
    if (mine.empty()) {
        subscribers_.erase(subscriber);
    }
    --subscriptions_;
}

TopicTable::Entry* TopicTable::any_of(engine::ConnectionId id) noexcept {
    const auto found = subscribers_.find(id.value());
    return found != subscribers_.end() ? found->second.back() : nullptr;
}

std::size_t TopicTable::subscriptions_of(engine::ConnectionId id) const noexcept {
    const auto found = subscribers_.find(id.value());
    return found != subscribers_.end() ? found->second.size() : 0;
}

}  // namespace websocket::hub
