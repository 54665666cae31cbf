// SPDX-License-Identifier: Apache-2.0
#include "bridge/presence_remote.hpp"

#include <iterator>
#include <vector>

namespace websocket::bridge {

using hub::PresenceStore;
using hub::TopicKey;
using std::chrono::milliseconds;
using Kind = PresenceMessage::Kind;
using Result = PresenceStore::Result;

namespace {

/// Until it is asked again.
constexpr milliseconds kAskPause{2000};
/// The same when there was no room for all, or the memory could not be had.
constexpr milliseconds kRoomPause{30'000};

}  // namespace

bool RemotePresence::renew(PresenceStore::Time until) {
    if (self_ && store_.renew_host(*self_, until)) {
        return true;
    }
    // For the first time; or this process has been held for so long that others took the host for gone.
    topics_.clear();
    phase_ = Phase::unknown;
    self_ = store_.take_host(host_, until);
    if (self_ && !adopt()) {
        store_.end_host(*self_);
        topics_.clear();
        self_ = store_.take_host(host_, until);
    }
    return self_.has_value();
}

/// Takes over whom an earlier bridge has entered: they stay, if the host still says so. False when the memory cannot be had.
bool RemotePresence::adopt() {
    const auto topics = store_.topics();
    if (!topics) {
        return false;
    }
    for (const std::string& bytes : *topics) {
        const auto key = TopicKey::parse(bytes, hash_key_);
        if (!key) {
            continue;
        }
        const auto members = store_.members_by(*key, *self_);
        if (!members) {
            return false;
        }
        if (!members->empty()) {
            Members& known = topics_[bytes];
            for (const hub::Member& one : *members) {
                known.emplace(one.id, Known{hash(one.info), 0});
            }
        }
    }
    return true;
}

void RemotePresence::end(Outcome& outcome) {
    if (self_) {
        store_.end_host(*self_);
        self_.reset();
    }
    for (const auto& [key, members] : topics_) {
        outcome.topics.insert(key);
    }
    topics_.clear();
    phase_ = Phase::unknown;
}

void RemotePresence::lose(milliseconds now) noexcept {
    phase_ = Phase::unknown;
    ask_at_ = now;
}

bool RemotePresence::is_time_to_ask(milliseconds now) noexcept {
    if (phase_ == Phase::known && !incomplete_) {
        return false;
    }
    if (now < ask_at_) {
        return false;
    }
    ask_at_ = now + kAskPause;
    return true;
}

void RemotePresence::hear(std::uint64_t bridge, std::uint64_t sequence,
                          const PresenceMessage& message, milliseconds now, Outcome& outcome) {
    heard_ = now;
    if (bridge != bridge_) {
        bridge_ = bridge;
        lose(now);
    }
    const bool begins =
        message.kind == Kind::state && (message.flags & PresenceMessage::kFirst) != 0;
    const std::uint64_t expected = message.has_changes() ? sequence_ + 1 : sequence_;
    if (phase_ != Phase::unknown && !begins && sequence != expected) {
        lose(now);
    }
    sequence_ = sequence;
    if (begins) {
        phase_ = Phase::told;
        incomplete_ = false;
        ++round_;
    }
    if (!message.has_changes() || phase_ == Phase::unknown) {
        return;
    }
    const bool was_incomplete = incomplete_;
    const bool ends = phase_ == Phase::told && message.kind == Kind::state &&
                      (message.flags & PresenceMessage::kLast) != 0;
    if (!apply(message.changes, outcome) || (ends && !forget_untold(outcome))) {
        phase_ = Phase::unknown;
        ask_at_ = now + kRoomPause;
        return;
    }
    if (ends) {
        phase_ = Phase::known;
    }
    if (phase_ == Phase::told) {
        ask_at_ = now + kAskPause;  // more of it is to come
    } else if (incomplete_ && (ends || !was_incomplete)) {
        ask_at_ = now + kRoomPause;
    }
}

/// False when the memory cannot be had.
bool RemotePresence::apply(std::string_view changes, Outcome& outcome) {
    while (const auto change = PresenceChange::take(changes)) {
        if (!(change->present ? enter(*change, outcome) : leave(*change, outcome))) {
            return false;
        }
    }
    return true;
}

bool RemotePresence::enter(const PresenceChange& change, Outcome& outcome) {
    const auto key = TopicKey::parse(change.key, hash_key_);
    const std::string topic(change.key);
    const std::string id(change.id);
    const std::uint64_t info = hash(change.info);
    Members& members = topics_[topic];
    const auto known = members.find(id);
    if (known != members.end() && known->second.info == info) {
        known->second.round = round_;
        return true;
    }
    const Result result = known == members.end()
                              ? store_.add(*key, *self_, change.id, change.info)
                              : store_.enter(*key, *self_, change.id, change.info);
    if (result == Result::ok) {
        members.insert_or_assign(id, Known{info, round_});
        outcome.topics.insert(topic);
    } else {
        incomplete_ = true;
        outcome.full = outcome.full || result == Result::full;
        if (known != members.end()) {
            known->second.round = round_;  // with the info of before
        } else if (members.empty()) {
            topics_.erase(topic);
        }
    }
    return result != Result::unavailable;
}

bool RemotePresence::leave(const PresenceChange& change, Outcome& outcome) {
    const auto topic = topics_.find(change.key);
    const std::string id(change.id);
    if (topic == topics_.end() || !topic->second.contains(id)) {
        return true;
    }
    if (!store_.leave(*TopicKey::parse(change.key, hash_key_), *self_, id)) {
        return false;
    }
    outcome.topics.insert(topic->first);
    topic->second.erase(id);
    if (topic->second.empty()) {
        topics_.erase(topic);
    }
    return true;
}

/// Who was not in the state that has been told is not there. False when the memory cannot be had.
bool RemotePresence::forget_untold(Outcome& outcome) {
    for (auto topic = topics_.begin(); topic != topics_.end();) {
        const auto key = TopicKey::parse(topic->first, hash_key_);
        Members& members = topic->second;
        for (auto member = members.begin(); member != members.end();) {
            if (member->second.round == round_) {
                ++member;
                continue;
            }
            if (!store_.leave(*key, *self_, member->first)) {
                return false;
            }
            outcome.topics.insert(topic->first);
            member = members.erase(member);
        }
        topic = members.empty() ? topics_.erase(topic) : std::next(topic);
    }
    return true;
}

}  // namespace websocket::bridge
