// SPDX-License-Identifier: Apache-2.0
// What was missed while there was no connection, and the return of topics to the broker's epoch. A topic's messages that come
// meanwhile are held until all before them are there.
#include <algorithm>
#include <charconv>
#include <optional>

#include "bridge/big_endian.hpp"
#include "bridge/channel.hpp"
#include "bridge/history_relay.hpp"
#include "bridge/history_scripts.hpp"
#include "bridge/redis_errors.hpp"

namespace websocket::bridge {

using hub::HistoryLimits;
using hub::OrderState;
using hub::Position;
using hub::TopicKey;
using std::chrono::milliseconds;

namespace {

/// Topics that are read at once.
constexpr std::size_t kMostLoading = 32;
/// In the index, until some of its others are looked at.
constexpr unsigned kNewTopics = 50;
constexpr std::size_t kEpochBytes = 8;
/// No offset is larger: whoever has seen this one has seen more than the broker has.
constexpr std::uint64_t kBeyondAll = std::uint64_t{1} << 53;

template <class Number>
bool number_of(const Reply& reply, Number& into) noexcept {
    const char* const end = reply.text.data() + reply.text.size();
    const auto [stop, error] = std::from_chars(reply.text.data(), end, into);
    return error == std::errc() && stop == end;
}

milliseconds age_of(const HistoryRecord& record, std::int64_t now) noexcept {
    return milliseconds(std::max<std::int64_t>(now - record.time, 0));
}

}  // namespace

void HistoryRelay::forget_connection() {
    asked_.clear();
    to_load_.clear();
    loaded_.clear();
    loading_ = 0;
    index_read_ = false;
    publish_script_.clear();
    read_script_.clear();
    queue_.forget_sent();
    held_bytes_ = 0;
    for (auto& [key, topic] : topics_) {
        topic.load = Load::none;
        topic.begun = false;
        topic.held.clear();
    }
    std::erase_if(topics_,
                  [](const auto& one) { return !one.second.is_local && one.second.pending == 0; });
}

/// Asked when the channel was subscribed to: what is published from then on comes there.
void HistoryRelay::on_clock(const Reply& reply) {
    std::uint64_t seconds = 0;
    std::uint64_t microseconds = 0;
    if (reply.elements.size() != 2 || !number_of(reply.elements[0], seconds) ||
        !number_of(reply.elements[1], microseconds)) {
        link_.drop("it does not answer as Redis does");
        return;
    }
    connected_at_ = seconds * 1000 + microseconds / 1000;
}

void HistoryRelay::note_has_all(std::uint64_t until) noexcept {
    if (until > options_.has_all_until->load()) {
        options_.has_all_until->store(until);
    }
}

void HistoryRelay::on_index(const Reply& reply) {
    if (reply.elements.size() != 2) {
        link_.drop("it does not answer as Redis does");
        return;
    }
    for (const Reply& key : reply.elements[1].elements) {
        to_load_.push_back(key.text);
    }
    const std::string& cursor = reply.elements[0].text;
    if (cursor != "0") {
        ask_for({Question::Kind::index, {}}, {"SSCAN", index_, cursor, "COUNT", "500"});
    } else {
        index_read_ = true;
        for (const auto& [key, topic] : topics_) {
            to_load_.push_back(key);
        }
    }
    load_more();
}

void HistoryRelay::load_more() {
    while (phase_ == Phase::loading && loading_ < kMostLoading && !to_load_.empty()) {
        const std::string key = std::move(to_load_.back());
        to_load_.pop_back();
        if (!loaded_.contains(key) && keeps(key) && topics_[key].load == Load::none) {
            begin_load(key, topics_[key], Load::behind);
        }
    }
    if (phase_ == Phase::loading && index_read_ && to_load_.empty() && loading_ == 0) {
        become_ready();
    }
}

void HistoryRelay::become_ready() {
    phase_ = Phase::ready;
    local_ = false;
    note_has_all(connected_at_);
    log_.print(base::LogLevel::info,
               "WS0640: topics with history have the positions of the broker, which had %zu",
               loaded_.size());
    loaded_.clear();
    std::vector<std::string> keys;
    for (const auto& [key, topic] : topics_) {
        keys.push_back(key);
    }
    for (const std::string& key : keys) {
        drop_if_settled(key);
    }
    feed();
}

void HistoryRelay::begin_load(const std::string& key, Topic& topic, Load load) {
    const auto parsed = TopicKey::parse(key, options_.hash_key);
    const auto state = parsed ? history_.order_of(*parsed) : std::nullopt;
    if (!state) {
        return;
    }
    Position known;
    std::uint64_t from = 0;
    if (load == Load::behind) {
        if (topic.is_local || (!state->is_ordered && state->last)) {
            known = make_local(key).told;
            from = known.offset + 1;
        } else if (state->is_ordered) {
            known = state->last;
            from = std::max<std::uint64_t>(known.offset, 1);  // see is_another_history()
        } else if (options_.has_all_until->load() == 0) {
            load = Load::all;
        }  // else it has begun meanwhile
    }
    topic.load = load;
    topic.begun = false;
    ++loading_;
    ask_messages(key, known, from);
}

void HistoryRelay::ask_messages(const std::string& key, const Position& known, std::uint64_t from) {
    const auto parsed = TopicKey::parse(key, options_.hash_key);
    const HistoryLimits* limits = parsed ? history_.limits_of(*parsed) : nullptr;
    if (limits == nullptr) {
        return;
    }
    ask_to_read(Question::Kind::messages, key, known, from, limits->messages);
}

void HistoryRelay::ask_to_read(Question::Kind kind, const std::string& key, const Position& known,
                               std::uint64_t from, std::size_t messages) {
    std::string epoch;
    append_number(epoch, known.epoch);
    const HistoryKeys keys(options_.prefix,
                           channel_of(hub::BrokerUrl::Kind::redis, options_.prefix, key));
    ask_for({kind, key},
            {"EVALSHA", read_script_, "3", keys.meta, keys.stream, index_, new_epoch(), epoch,
             std::to_string(known.offset), std::to_string(from), std::to_string(messages), key});
}

/// The index has no end of its own: whoever adds to it looks at twice as many others, whether they are still there.
void HistoryRelay::note_new_topic() {
    if (++new_topics_ >= kNewTopics) {
        new_topics_ = 0;
        ask_for({Question::Kind::old_topics, {}},
                {"SSCAN", index_, old_topics_, "COUNT", std::to_string(2 * kNewTopics)});
    }
}

void HistoryRelay::on_old_topics(const Reply& reply) {
    if (reply.elements.size() != 2) {
        return;
    }
    old_topics_ = reply.elements[0].text;
    for (const Reply& key : reply.elements[1].elements) {
        if (TopicKey::parse(key.text, options_.hash_key)) {
            ask_to_read(Question::Kind::nothing, key.text, {}, 0, 0);
        }
    }
}

bool HistoryRelay::parse(const Reply& reply, Found& found) {
    const auto& parts = reply.elements;
    if (parts.size() < 3 || parts[0].text.size() != kEpochBytes ||
        !number_of(parts[1], found.last.offset) || !number_of(parts[2], found.now)) {
        return false;
    }
    found.last.epoch = number_at(parts[0].text);
    for (std::size_t i = 3; i < parts.size(); ++i) {
        const auto record = HistoryRecord::of_payload(parts[i].text);
        if (!record || record->at.epoch != found.last.epoch) {
            return false;
        }
        found.records.push_back(*record);
    }
    return true;
}

void HistoryRelay::on_messages(const std::string& key, const Reply& reply) {
    const auto topic = topics_.find(key);
    if (topic == topics_.end() || topic->second.load == Load::none) {
        return;
    }
    Found found;
    if (reply.is_error()) {
        say_refused(explain_error(reply.text));
        give_up(key);
    } else if (reply.elements.empty()) {
        give_up(key);
    } else if (!parse(reply, found)) {
        say_refused("there is something else where it should be");
        give_up(key);
    } else if (topic->second.load == Load::behind) {
        take_behind(key, topic->second, found);
    } else {
        take_all(key, topic->second, found);
    }
}

/// The broker has another message where the last one of this memory was: it has lost what it had, and others have
/// published since.
bool HistoryRelay::is_another_history(const TopicKey& key, const OrderState& state,
                                      const Found& found) {
    if (!state.is_ordered || found.last.epoch != state.last.epoch || found.records.empty() ||
        found.records.front().at != state.last) {
        return false;
    }
    const auto known = history_.read(
        key, *history_.limits_of(key),
        {.since = {state.last.epoch, state.last.offset - 1}, .until = state.last.offset});
    if (!known || known->frames.empty()) {
        return false;
    }
    const auto payload = known->frames.front().payload();
    return found.records.front().message.message !=
           std::string_view(reinterpret_cast<const char*>(payload.data()), payload.size());
}

void HistoryRelay::take_behind(const std::string& key, Topic& topic, const Found& found) {
    const auto parsed = TopicKey::parse(key, options_.hash_key);
    const auto state = history_.order_of(*parsed);
    if (!state) {
        give_up(key);
        return;
    }
    const auto until = static_cast<std::int64_t>(options_.has_all_until->load());
    if (topic.is_local && !topic.told && until == 0) {
        topic.told = found.last;  // nobody here was promised what was before
        end_load(key);
        return;
    }
    if (!topic.is_local && is_another_history(*parsed, *state, found)) {
        ask_messages(key, {found.last.epoch, kBeyondAll}, 0);
        return;
    }
    const Position known = topic.is_local ? topic.told : state->last;
    const bool is_new = found.last.epoch != known.epoch;
    if (is_new && found.records.empty()) {
        if (topic.is_local) {
            topic.told = found.last;
        } else if (!history_.begin_epoch(*parsed, found.last, found.last.offset, found.now)) {
            give_up(key);
            return;
        }
    }
    const std::int64_t had = state->broker_time != 0 ? state->broker_time : until - 1;
    for (const HistoryRecord& record : found.records) {
        // Of before it began here, or of an epoch that the broker has been given back: subscribers have had that.
        if (is_new && record.time <= had) {
            topics_[key].told = record.at;
        } else {
            take(record, age_of(record, found.now));
        }
    }
    if (!found.records.empty() && found.records.back().at.offset < found.last.offset) {
        ask_messages(key, {found.last.epoch, 0}, found.records.back().at.offset + 1);
    } else {
        end_load(key);
    }
}

/// Up to what subscribers here have got. What is behind that comes, or is held.
void HistoryRelay::take_all(const std::string& key, Topic& topic, const Found& found) {
    const auto parsed = TopicKey::parse(key, options_.hash_key);
    if (topic.pending > 0) {
        end_load(key);  // something was told here meanwhile
        return;
    }
    if (!topic.begun) {
        if (!topic.is_local || topic.told.epoch != found.last.epoch) {
            topic.told = found.last;
        }
        const std::uint64_t first =
            found.records.empty() ? topic.told.offset + 1 : found.records.front().at.offset;
        const Position behind{found.last.epoch, std::min(first - 1, topic.told.offset)};
        if (!history_.begin_epoch(*parsed, behind, topic.told.offset, found.now)) {
            give_up(key);
            return;
        }
        topic.begun = true;
    }
    const HistoryLimits& limits = *history_.limits_of(*parsed);
    for (const HistoryRecord& record : found.records) {
        if (record.at.offset <= topic.told.offset) {
            static_cast<void>(
                keep(*parsed, limits, record, age_of(record, found.now), hub::Origin{}));
        }
    }
    if (!found.records.empty() && found.records.back().at.offset < topic.told.offset) {
        ask_messages(key, {found.last.epoch, 0}, found.records.back().at.offset + 1);
        return;
    }
    topic.is_local = false;
    end_load(key);
}

void HistoryRelay::give_up(const std::string& key) {
    if (const auto topic = topics_.find(key); topic != topics_.end()) {
        topic->second.is_local = topic->second.pending > 0;
    }
    end_load(key);
}

void HistoryRelay::end_load(const std::string& key) {
    const auto topic = topics_.find(key);
    topic->second.load = Load::none;
    topic->second.begun = false;
    --loading_;
    if (phase_ == Phase::loading) {
        loaded_.insert(key);
    }
    const std::vector<std::string> held = std::exchange(topic->second.held, {});
    for (const std::string& payload : held) {
        held_bytes_ -= payload.size();
        static_cast<void>(on_record(payload));
    }
    drop_if_settled(key);
    load_more();
}

void HistoryRelay::drop_if_settled(const std::string& key) {
    const auto topic = topics_.find(key);
    if (topic == topics_.end() || topic->second.pending > 0 || topic->second.load != Load::none) {
        return;
    }
    if (!topic->second.is_local) {
        topics_.erase(topic);
    } else if (phase_ == Phase::ready || (phase_ == Phase::loading && loaded_.contains(key))) {
        begin_load(key, topic->second, Load::all);
    }
}

void HistoryRelay::hold(Topic& topic, std::string_view payload) {
    topic.held.emplace_back(payload);
    held_bytes_ += payload.size();
    if (held_bytes_ > options_.buffer) {
        link_.drop("too much is published while histories are read");
    }
}

}  // namespace websocket::bridge
