// SPDX-License-Identifier: Apache-2.0
#include "bridge/presence_local.hpp"

#include <utility>

#include "bridge/presence_message.hpp"

namespace websocket::bridge {

using std::chrono::milliseconds;
using Kind = PresenceMessage::Kind;

namespace {

/// Many who ask at once are answered at once.
constexpr milliseconds kStatePause{1000};

}  // namespace

// --- what there is -------------------------------------------------------------------------------

void LocalPresence::look_at(std::string_view key) {
    const auto parsed = hub::TopicKey::parse(key, hash_key_);
    if (!parsed || parsed->is_of_process()) {
        return;
    }
    auto members = store_.own_members(*parsed);
    if (!members) {
        look_at_all_ = true;  // later: somebody was stopped with the lock
        return;
    }
    Members now;
    for (hub::Member& one : *members) {
        now.emplace_hint(now.end(), std::move(one.id), std::move(one.info));
    }
    compare(std::string(key), std::move(now));
}

void LocalPresence::look_around(milliseconds now) {
    const std::uint64_t changes = store_.changes();
    const std::uint64_t ends = store_.ends();
    const bool is_time = changes != changes_ && now - looked_ >= kLookPause;
    if (!look_at_all_ && ends == ends_ && !is_time) {
        return;
    }
    auto topics = store_.topics();
    if (!topics) {
        return;
    }
    look_at_all_ = false;
    changes_ = changes;
    ends_ = ends;
    looked_ = now;
    for (const auto& [key, members] : topics_) {
        topics->push_back(key);  // those that nobody is in any more
    }
    for (const std::string& key : *topics) {
        look_at(key);
    }
}

void LocalPresence::compare(const std::string& key, Members now) {
    Members& known = topics_[key];
    for (const auto& [id, info] : known) {
        if (!now.contains(id)) {
            note(key, id);
        }
    }
    for (const auto& [id, info] : now) {
        const auto before = known.find(id);
        if (before == known.end() || before->second != info) {
            note(key, id);
        }
    }
    size_ = size_ - known.size() + now.size();
    known = std::move(now);
    if (known.empty()) {
        topics_.erase(key);
    }
}

void LocalPresence::note(const std::string& key, const std::string& id) {
    if (untold_.size() >= kMostUntold) {
        skip();
    }
    untold_.emplace(key, id);
}

// --- what is told --------------------------------------------------------------------------------

void LocalPresence::skip() noexcept {
    if (!untold_.empty() || told_to_) {
        untold_.clear();
        told_to_.reset();
        ++sequence_;
    }
}

bool LocalPresence::is_time_for_state(milliseconds now) const noexcept {
    return state_wanted_ && !look_at_all_ && (!state_begun_ || now - *state_begun_ >= kStatePause);
}

std::optional<std::string> LocalPresence::next(milliseconds now) {
    const bool has_changes = !untold_.empty();
    if (!has_changes && !told_to_ && !is_time_for_state(now)) {
        return {};
    }
    ++sequence_;  // also when memory runs out now: that is a hole
    PresenceMessage message{.host = store_.host()};
    std::string changes;
    if (has_changes) {
        message.kind = Kind::changes;
        changes = take_changes();
    } else {
        message.kind = Kind::state;
        if (!told_to_) {
            state_wanted_ = false;
            state_begun_ = now;
            message.flags = PresenceMessage::kFirst;
            told_to_.emplace();
        }
        changes = take_state(message.flags);
    }
    message.changes = changes;
    return message.to_message();
}

std::string LocalPresence::take_changes() {
    std::string changes;
    while (!untold_.empty() && changes.size() < kPart) {
        const auto& [key, id] = *untold_.begin();
        const auto topic = topics_.find(key);
        PresenceChange change{.key = key, .id = id};
        if (topic != topics_.end()) {
            const auto member = topic->second.find(id);
            change.present = member != topic->second.end();
            change.info = change.present ? std::string_view(member->second) : "";
        }
        change.append_to(changes);
        untold_.erase(untold_.begin());
    }
    return changes;
}

/// Goes on behind who was told of last. Who comes or goes meanwhile is told in a message of changes in between, so it is
/// right for those behind that place, and for those in front of it as well.
std::string LocalPresence::take_state(std::uint8_t& flags) {
    std::string changes;
    auto& [last_key, last_id] = *told_to_;
    auto topic = topics_.lower_bound(last_key);
    for (; topic != topics_.end(); ++topic) {
        const Members& members = topic->second;
        auto member = topic->first == last_key ? members.upper_bound(last_id) : members.begin();
        for (; member != members.end(); ++member) {
            if (changes.size() >= kPart) {
                return changes;
            }
            PresenceChange{true, topic->first, member->first, member->second}.append_to(changes);
            last_key = topic->first;
            last_id = member->first;
        }
    }
    told_to_.reset();
    flags |= PresenceMessage::kLast;
    return changes;
}

}  // namespace websocket::bridge
