// SPDX-License-Identifier: Apache-2.0
// What is published, and what comes from the broker.
#include "bridge/history_relay.hpp"

#include <algorithm>
#include <new>
#include <optional>

#include "bridge/big_endian.hpp"
#include "bridge/channel.hpp"
#include "bridge/history_scripts.hpp"
#include "bridge/redis_errors.hpp"
#include "engine/event_form.hpp"

namespace websocket::bridge {

using engine::SharedFrame;
using hub::HistoryLimits;
using hub::Origin;
using hub::Placed;
using hub::Position;
using hub::TopicKey;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds kLookForStall{250};
/// Messages that were told here after they had been sent: more are not remembered.
constexpr std::size_t kMostToldLate = 200'000;

std::string_view chars_of(std::span<const std::uint8_t> bytes) noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

protocol::Opcode opcode_of(const Envelope& message) noexcept {
    return message.type == Envelope::Type::text ? protocol::Opcode::text : protocol::Opcode::binary;
}

SharedFrame make_frame(protocol::Opcode opcode, std::span<const std::uint8_t> payload,
                       std::string_view fields, const std::optional<Position>& at,
                       const Origin& origin) {
    SharedFrame frame = SharedFrame::build(opcode, payload);
    if (at) {
        hub::mark_with_position(frame, fields, *at);
    } else {
        engine::set_event_fields(frame, fields);
    }
    hub::set_origin(frame, origin);
    return frame;
}

SharedFrame make_frame(const HistoryRecord& record, const std::optional<Position>& at,
                       const Origin& origin) {
    return make_frame(opcode_of(record.message), engine::text_bytes(record.message.message),
                      record.message.fields, at, origin);
}

}  // namespace

HistoryRelay::HistoryRelay(net::Reactor& reactor, HistoryRelayOptions options,
                           hub::History& history, BrokerLink& link, hub::Bus& bus,
                           hub::BridgeCounts& counts, base::Log& log)
    : reactor_(reactor), options_(std::move(options)), history_(history), link_(link), bus_(bus),
      counts_(counts), log_(log), channel_(history_channel(options_.prefix)),
      index_(history_index(options_.prefix)), most_topics_(options_.topics),
      stall_timer_(reactor, [this] {
          try {
              look_for_stall();
          } catch (const std::bad_alloc&) {
              stall_timer_.start(kLookForStall);
          }
      }) {}

bool HistoryRelay::keeps(std::string_view key) const noexcept {
    const auto topic = TopicKey::parse(key, options_.hash_key);
    return topic && history_.limits_of(*topic) != nullptr;
}

// --- from this host ------------------------------------------------------------------------------

bool HistoryRelay::publish(std::string_view key, const SharedFrame& frame) {
    HistoryQueue::Item item{options_.next_number(), std::string(key), frame, reactor_.elapsed(),
                            static_cast<bool>(hub::position_of(frame))};
    if ((phase_ == Phase::down || phase_ == Phase::refused) && topics_.size() >= most_topics_) {
        forget_topics();
    }
    if (item.delivered) {
        make_local(item.key);
    } else if (local_) {
        tell_here(item);
    }
    if (phase_ == Phase::refused) {
        return false;
    }
    if (item.delivered) {
        ++topics_[item.key].pending;
    }
    queue_.push(std::move(item));
    while (queue_.bytes() > options_.buffer && queue_.front().number != queue_.back().number) {
        drop_front();
    }
    if (!stall_timer_.running()) {
        stall_timer_.start(kLookForStall);
    }
    return true;
}

/// Subscribers of this host get it now, with a position of this host.
void HistoryRelay::tell_here(HistoryQueue::Item& item) {
    item.delivered = true;
    const auto key = TopicKey::parse(item.key, options_.hash_key);
    const HistoryLimits* limits = key ? history_.limits_of(*key) : nullptr;
    if (limits == nullptr) {
        return;
    }
    make_local(item.key);
    tell_local(*key, *limits, item.frame.opcode(), item.frame.payload(),
               engine::event_fields_of(item.frame), hub::origin_of(item.frame));
}

void HistoryRelay::tell_local(const TopicKey& key, const HistoryLimits& limits,
                              protocol::Opcode opcode, std::span<const std::uint8_t> payload,
                              std::string_view fields, const Origin& origin) {
    const auto at = history_.append(key, limits, opcode, payload, fields);
    tell(key, make_frame(opcode, payload, fields, at, origin));
}

HistoryRelay::Topic& HistoryRelay::make_local(const std::string& key) {
    Topic& topic = topics_[key];
    if (!topic.is_local) {
        topic.is_local = true;
        const auto parsed = TopicKey::parse(key, options_.hash_key);
        const auto state = parsed ? history_.order_of(*parsed) : std::nullopt;
        topic.told = state ? state->last : Position{};
    }
    return topic;
}

void HistoryRelay::tell(const TopicKey& key, const SharedFrame& frame) noexcept {
    if (bus_.wanted(key)) {
        static_cast<void>(
            bus_.publish(key, frame));  // who has no room for it reads it in the memory
    }
}

/// That they are in an epoch of this host is seen in the memory as well: what is forgotten is what was told of the broker's.
/// Never one by one, or each new topic would look at all of them.
void HistoryRelay::forget_topics() {
    std::erase_if(topics_, [](const auto& one) { return one.second.pending == 0; });
    most_topics_ = std::max(options_.topics, 2 * topics_.size());
}

/// Nobody here waits for the broker any longer.
void HistoryRelay::go_local() {
    local_ = true;
    queue_.for_each([this](HistoryQueue::Item& item, bool sent) {
        if (item.delivered) {
            return;
        }
        tell_here(item);
        ++topics_[item.key].pending;
        if (sent) {
            if (told_late_.size() >= kMostToldLate) {
                told_late_.clear();
            }
            told_late_.insert(item.number);
        }
    });
}

void HistoryRelay::look_for_stall() {
    const milliseconds now = reactor_.elapsed();
    if (!queue_.empty() && !queue_.front().delivered &&
        now - queue_.front().since >= options_.stall) {
        go_local();
    }
    while (!queue_.empty() && now - queue_.front().since > options_.longest_wait) {
        drop_front();
    }
    if (!queue_.empty()) {
        stall_timer_.start(kLookForStall);
    }
}

void HistoryRelay::drop_front() {
    if (!queue_.front().delivered) {
        go_local();
    }
    ++dropped_;
    if (const auto item = queue_.take_front()) {
        settle(*item);
    }
}

/// It is not under way any more.
void HistoryRelay::settle(const HistoryQueue::Item& item) {
    const auto topic = topics_.find(item.key);
    if (item.delivered && topic != topics_.end() && topic->second.pending > 0) {
        --topic->second.pending;
        drop_if_settled(item.key);
    }
}

void HistoryRelay::feed() {
    while (phase_ == Phase::ready && queue_.has_unsent() && link_.has_room()) {
        const HistoryQueue::Item& item = *queue_.next_to_send();
        const auto key = TopicKey::parse(item.key, options_.hash_key);
        const HistoryLimits* limits = key ? history_.limits_of(*key) : nullptr;
        if (limits == nullptr) {
            continue;
        }
        const auto state = history_.order_of(*key);
        const Position known = state ? state->last : Position{};
        std::string known_epoch;
        append_number(known_epoch, known.epoch);
        std::string host;
        append_number(host, options_.host);
        const bool text = item.frame.opcode() == protocol::Opcode::text;
        const Envelope envelope{.type = text ? Envelope::Type::text : Envelope::Type::binary,
                                .host = options_.host,
                                .sequence = item.number,
                                .fields = engine::event_fields_of(item.frame),
                                .message = chars_of(item.frame.payload())};
        const HistoryKeys keys(options_.prefix,
                               channel_of(hub::BrokerUrl::Kind::redis, options_.prefix, item.key));
        ask_for({Question::Kind::publication, item.key, item.number},
                {"EVALSHA", publish_script_, "3", keys.meta, keys.stream, index_, new_epoch(),
                 std::to_string(limits->messages), std::to_string(limits->ttl.count()), host,
                 std::to_string(item.number), known_epoch, std::to_string(known.offset), channel_,
                 HistoryRecord::body(item.delivered, item.key, envelope), item.key});
    }
}

// --- the broker comes and goes -------------------------------------------------------------------

void HistoryRelay::ask_for(Question question, std::initializer_list<std::string_view> words) {
    link_.ask(words);
    asked_.push_back(std::move(question));
}

void HistoryRelay::on_up() {
    forget_connection();
    phase_ = Phase::loading;
    ask_for({Question::Kind::clock, {}}, {"TIME"});
    ask_for({Question::Kind::publish_script, {}}, {"SCRIPT", "LOAD", kPublishScript});
    ask_for({Question::Kind::read_script, {}}, {"SCRIPT", "LOAD", kReadScript});
}

void HistoryRelay::on_down() {
    phase_ = Phase::down;
    go_local();  // which has to know what was sent
    forget_connection();
}

bool HistoryRelay::ends_connection_by(const Reply& reply) {
    if (!reply.is_error() || !(ends_connection(reply.text) || reply.text.starts_with("NOSCRIPT"))) {
        return false;
    }
    link_.drop(explain_error(reply.text));
    return true;
}

void HistoryRelay::refuse(const std::string& why) {
    phase_ = Phase::refused;
    go_local();
    forget_connection();
    while (!queue_.empty()) {
        drop_front();
    }
    say_refused(why);
}

void HistoryRelay::say_refused(const std::string& why) {
    if (refused_line_.permit()) {
        log_.print(base::LogLevel::warning,
                   "WS0641: the broker does not keep the history of topics: %s; subscribers of "
                   "this host get what is published here all the same",
                   why.c_str());
    }
}

void HistoryRelay::on_answer(Reply&& reply) {
    if (asked_.empty()) {
        return;  // asked before the broker refused
    }
    const Question question = std::move(asked_.front());
    asked_.pop_front();
    if (question.kind == Question::Kind::nothing || ends_connection_by(reply)) {
        return;
    }
    using Kind = Question::Kind;
    if (reply.is_error() &&
        (question.kind == Kind::publish_script || question.kind == Kind::read_script ||
         question.kind == Kind::clock || question.kind == Kind::index)) {
        refuse(explain_error(reply.text));
        return;
    }
    switch (question.kind) {
        case Kind::publish_script: publish_script_ = reply.text; break;
        case Kind::read_script:
            read_script_ = reply.text;
            // Only now: what was published before and not taken is found there.
            ask_for({Kind::index, {}}, {"SSCAN", index_, "0", "COUNT", "500"});
            break;
        case Kind::clock: on_clock(reply); break;
        case Kind::index: on_index(reply); break;
        case Kind::publication: on_publication(question, reply); break;
        case Kind::messages: on_messages(question.key, reply); break;
        case Kind::old_topics: on_old_topics(reply); break;
        case Kind::nothing: break;
    }
}

void HistoryRelay::on_publication(const Question& question, const Reply& reply) {
    if (!reply.is_error() && reply.integer != 0) {
        counts_.published.fetch_add(1);
        if (reply.integer == 2) {
            note_new_topic();
        }
        return;  // it is done when it comes back
    }
    auto item = queue_.take(question.number);
    if (reply.is_error()) {
        ++dropped_;
        say_refused(explain_error(reply.text));
    }
    if (!item) {
        return;
    }
    if (!item->delivered) {
        tell_here(*item);
        ++topics_[item->key].pending;
    }
    settle(*item);
}

// --- from the broker -----------------------------------------------------------------------------

bool HistoryRelay::on_record(std::string_view payload) {
    const auto record = HistoryRecord::of_payload(payload);
    if (!record || !TopicKey::parse(record->key, options_.hash_key)) {
        return false;
    }
    if (phase_ != Phase::loading && phase_ != Phase::ready) {
        return true;
    }
    const std::string key(record->key);
    auto topic = topics_.find(key);
    const bool is_loading = topic != topics_.end() && topic->second.load != Load::none;
    if (!is_loading && phase_ == Phase::loading && !loaded_.contains(key) && keeps(key)) {
        if (publish_script_.empty() || read_script_.empty()) {
            return true;  // it will be read
        }
        begin_load(key, topics_[key], Load::behind);
        topic = topics_.find(key);
    }
    if (topic != topics_.end() && topic->second.load != Load::none) {
        hold(topic->second, payload);
        return true;
    }
    take(*record, milliseconds(0));
    if (phase_ == Phase::ready) {
        note_has_all(static_cast<std::uint64_t>(record->time));
    }
    return true;
}

bool HistoryRelay::has_seen(const HistoryRecord& record) const noexcept {
    return is_own(record) && (record.delivered || told_late_.contains(record.message.sequence));
}

void HistoryRelay::take(const HistoryRecord& record, milliseconds ago) {
    const auto key = TopicKey::parse(record.key, options_.hash_key);
    if (!key) {
        return;
    }
    const bool seen = has_seen(record);
    const auto item = is_own(record) ? queue_.take(record.message.sequence) : std::nullopt;
    place(*key, record, ago, seen, item ? hub::origin_of(item->frame) : Origin{});
    if (is_own(record)) {
        told_late_.erase(record.message.sequence);
    } else {
        counts_.received.fetch_add(1);
    }
    if (item) {
        local_ = phase_ != Phase::ready;
        settle(*item);
    }
    drop_if_settled(std::string(record.key));
}

void HistoryRelay::place(const TopicKey& key, const HistoryRecord& record, milliseconds ago,
                         bool seen, const Origin& origin) {
    const HistoryLimits* limits = history_.limits_of(key);
    const auto state = limits != nullptr ? history_.order_of(key) : std::nullopt;
    if (!state) {
        if (!seen) {
            tell(key, make_frame(record, {}, origin));
        }
        return;
    }
    const std::string name(record.key);
    const auto topic = topics_.find(name);
    const bool known_local = topic != topics_.end() && topic->second.is_local;
    if (known_local || (!state->is_ordered && state->last)) {
        take_local(key, *limits, make_local(name), record, seen, origin);
        return;
    }
    if (seen && !state->is_ordered &&
        !history_.begin_epoch(key, {record.at.epoch, record.at.offset - 1}, record.at.offset,
                              record.time)) {
        return;
    }
    const Placed placed = keep(key, *limits, record, ago, origin);
    if (!seen && placed != Placed::known) {
        const bool kept = placed == Placed::kept;
        tell(key, make_frame(record, kept ? std::optional(record.at) : std::nullopt, origin));
    }
}

Placed HistoryRelay::keep(const TopicKey& key, const HistoryLimits& limits,
                          const HistoryRecord& record, milliseconds ago, const Origin& origin) {
    return history_.append_at(key, limits,
                              {.at = record.at,
                               .opcode = opcode_of(record.message),
                               .payload = engine::text_bytes(record.message.message),
                               .fields = record.message.fields,
                               .origin = origin,
                               .published = hub::History::now() - ago,
                               .broker_time = record.time});
}

/// Subscribers here are in an epoch of this host, until all that was told here has come back.
void HistoryRelay::take_local(const TopicKey& key, const HistoryLimits& limits, Topic& topic,
                              const HistoryRecord& record, bool seen, const Origin& origin) {
    if (topic.told.epoch == record.at.epoch && record.at.offset <= topic.told.offset) {
        return;
    }
    topic.told = record.at;
    if (!seen) {
        tell_local(key, limits, opcode_of(record.message),
                   engine::text_bytes(record.message.message), record.message.fields, origin);
    }
}

}  // namespace websocket::bridge
