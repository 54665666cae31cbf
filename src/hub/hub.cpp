// SPDX-License-Identifier: Apache-2.0
#include "hub/hub.hpp"

#include <sys/random.h>

#include <algorithm>
#include <new>
#include <optional>
#include <utility>

#include "engine/event_form.hpp"

namespace websocket::hub {

namespace {

/// The one that says more about what did not work.
TopicResult worst_of(TopicResult a, TopicResult b) noexcept { return std::max(a, b); }

/// Not 0.
std::uint64_t random_process() noexcept {
    std::uint64_t number = 0;
    if (::getrandom(&number, sizeof number, 0) != sizeof number) {
        number = reinterpret_cast<std::uintptr_t>(&number);
    }
    return number | 1;
}

TopicResult result_of(BusResult result) noexcept {
    switch (result) {
        case BusResult::ok: return TopicResult::ok;
        case BusResult::full: return TopicResult::full;
        case BusResult::no_memory: return TopicResult::no_memory;
        case BusResult::unavailable: break;
    }
    return TopicResult::unavailable;
}

}  // namespace

Hub::Hub(engine::Engine& engine, Bus& bus, base::Log& log, const HubOptions& options) noexcept
    : engine_(engine), bus_(bus), options_(options), log_(log),
      drops_(log, options.counts, options.names), self_(random_process()) {
    engine_.set_group_listener(*this);
    bus_.attach(*this, drops_);
}

// --- subscriptions -------------------------------------------------------------------------------

TopicResult Hub::subscribe(std::string_view scope, std::string_view topic, engine::ConnectionId id,
                           TopicQuota& quota) noexcept {
    const std::optional<TopicKey> key = TopicKey::make(scope, topic, options_.hash_key);
    if (!key) {
        return TopicResult::bad_name;
    }
    return subscribe(*key, id, quota, {}, nullptr);
}

TopicResult Hub::subscribe_again(std::string_view scope, std::string_view topic,
                                 engine::ConnectionId id, TopicQuota& quota,
                                 const std::optional<Return>& from, Recovered& recovered) noexcept {
    const std::optional<TopicKey> key = TopicKey::make(scope, topic, options_.hash_key);
    if (!key) {
        return TopicResult::bad_name;
    }
    if (options_.history == nullptr || options_.history->limits_of(*key) == nullptr) {
        return TopicResult::no_history;
    }
    return subscribe(*key, id, quota, from, &recovered);
}

TopicResult Hub::subscribe(const TopicKey& key, engine::ConnectionId id, TopicQuota& quota,
                           const std::optional<Return>& from, Recovered* recovered) noexcept {
    const Change change(*this);
    TopicTable::Entry* known = table_.find(key);
    if (known != nullptr && table_.is_subscribed(id, *known)) {
        if (recovered != nullptr) {
            recovered->now = known->second.delivered;
            recovered->complete = from && from->since.epoch == recovered->now.epoch;
        }
        return TopicResult::ok;
    }
    if (table_.subscriptions_of(id) >= quota.most_of_connection) {
        return TopicResult::too_many_subscriptions;
    }
    try {
        TopicResult result = TopicResult::no_memory;
        TopicTable::Entry* entry = find_or_add(key, &quota, result);
        if (entry == nullptr) {
            return result;
        }
        try {
            result = subscribe_new(*entry, key, id, from, recovered);
        } catch (const std::bad_alloc&) {
        }
        if (!entry->second.wanted()) {
            table_.drop(*entry);
        }
        return result;
    } catch (const std::bad_alloc&) {
        return TopicResult::no_memory;
    }
}

TopicTable::Entry* Hub::find_or_add(const TopicKey& key, TopicQuota* quota, TopicResult& refusal) {
    if (TopicTable::Entry* known = table_.find(key)) {
        return known;
    }
    if (!has_room(quota)) {
        refusal = TopicResult::too_many_topics;
        return nullptr;
    }
    return &table_.find_or_add(key, quota);
}

bool Hub::has_room(const TopicQuota* quota) const noexcept {
    if (table_.topics() >= options_.max_topics) {
        log_.print(base::LogLevel::error, "WS0507: subscription refused: there are %s topics",
                   options_.names.max_topics);
        return false;
    }
    const std::size_t share = options_.max_topics - options_.max_topics / 4;
    if (quota != nullptr && quota->used >= (quota->most != 0 ? quota->most : share)) {
        log_.print(base::LogLevel::error,
                   "WS0508: subscription refused: there are %s topics of one location",
                   options_.names.quota);
        return false;
    }
    return true;
}

bool Hub::add_interest(TopicTable::Entry& topic, const TopicKey& key) noexcept {
    if (key.is_of_process()) {
        return true;
    }
    if (!bus_.add_interest(key)) {
        return false;
    }
    topic.second.history = options_.history != nullptr ? options_.history->limits_of(key) : nullptr;
    if (topic.second.history == nullptr) {
        return true;
    }
    const std::optional<Position> top = options_.history->top(key, *topic.second.history);
    if (!top) {
        bus_.remove_interest(key);
        return false;
    }
    topic.second.delivered = *top;
    return true;
}

/// When it fails or throws std::bad_alloc nothing has changed.
TopicResult Hub::subscribe_new(TopicTable::Entry& topic, const TopicKey& key,
                               engine::ConnectionId id, const std::optional<Return>& from,
                               Recovered* recovered) {
    const bool first = !topic.second.wanted();
    table_.subscribe(id, topic);
    const auto undo = [&](TopicResult why) {
        table_.unsubscribe(id, topic);
        return why;
    };
    if (first && !add_interest(topic, key)) {
        return undo(TopicResult::unavailable);
    }
    TopicResult result = TopicResult::gone;
    try {
        if (recovered != nullptr) {
            // All who have subscribed are brought to the top, then so is this one: from there on they are equals.
            static_cast<void>(count(catch_up(topic.second, key, kTop)));
            recovered->now = topic.second.delivered;
            if (from) {
                send_missed(key, topic.second, id, *from, *recovered);
            }
        }
        if (engine_.join(topic.second.group, id)) {
            show_subscribers(topic);
            return TopicResult::ok;
        }
    } catch (const std::bad_alloc&) {
        result = TopicResult::no_memory;
    }
    if (first) {
        remove_interest(key);
    }
    return undo(result);
}

void Hub::unsubscribe(std::string_view scope, std::string_view topic,
                      engine::ConnectionId id) noexcept {
    const std::optional<TopicKey> key = TopicKey::make(scope, topic, options_.hash_key);
    if (!key) {
        return;
    }
    const Change change(*this);
    TopicTable::Entry* known = table_.find(*key);
    if (known != nullptr && table_.is_subscribed(id, *known)) {
        engine_.leave(known->second.group, id);
        unsubscribe(*known, id);
    }
}

void Hub::unsubscribe_all(engine::ConnectionId id) noexcept {
    const Change change(*this);
    if (table_.subscriptions_of(id) > 0) {
        engine_.leave_all(id);
        forget(id);
    }
}

void Hub::on_gone(engine::ConnectionId id) noexcept {
    const Change change(*this);
    forget(id);
}

void Hub::forget(engine::ConnectionId id) noexcept {
    while (TopicTable::Entry* topic = table_.any_of(id)) {
        unsubscribe(*topic, id);
    }
}

void Hub::unsubscribe(TopicTable::Entry& topic, engine::ConnectionId id) noexcept {
    table_.unsubscribe(id, topic);
    show_subscribers(topic);
    drop_unwanted(topic);
}

std::uint64_t Hub::subscribers_of(const Topic& topic) noexcept {
    std::uint64_t sum = 0;
    for (const Topic::Share& share : topic.shares) {
        sum += share.subscribers;
    }
    for (const auto& listener : topic.listeners) {
        sum += listener->stands_for_;
    }
    return sum;
}

void Hub::show_subscribers(const TopicTable::Entry& topic) noexcept {
    const auto key = TopicKey::parse(TopicTable::bytes(topic), options_.hash_key);
    if (key && !key->is_of_process()) {
        bus_.show_subscribers(*key, subscribers_of(topic.second));
    }
}

void Hub::drop_unwanted(TopicTable::Entry& topic) noexcept {
    if (!topic.second.wanted()) {
        if (const auto key = TopicKey::parse(TopicTable::bytes(topic), options_.hash_key)) {
            remove_interest(*key);
        }
        table_.drop(topic);
    }
}

// --- listeners -----------------------------------------------------------------------------------

TopicResult Hub::listen(std::string_view scope, std::string_view topic,
                        std::shared_ptr<TopicListener> listener, TopicQuota* quota) noexcept {
    const std::optional<TopicKey> key = TopicKey::make(scope, topic, options_.hash_key);
    if (!key) {
        return TopicResult::bad_name;
    }
    const Change change(*this);
    try {
        TopicResult result = TopicResult::no_memory;
        TopicTable::Entry* entry = find_or_add(*key, quota, result);
        if (entry == nullptr) {
            return result;
        }
        if (!entry->second.wanted() && !add_interest(*entry, *key)) {
            table_.drop(*entry);
            return TopicResult::unavailable;
        }
        try {
            entry->second.listeners.push_back(std::move(listener));
            ++listeners_;
            return TopicResult::ok;
        } catch (const std::bad_alloc&) {
            drop_unwanted(*entry);
        }
    } catch (const std::bad_alloc&) {
    }
    return TopicResult::no_memory;
}

void Hub::ignore(std::string_view scope, std::string_view topic,
                 const TopicListener& listener) noexcept {
    const std::optional<TopicKey> key = TopicKey::make(scope, topic, options_.hash_key);
    std::shared_ptr<TopicListener> last;  // may end something else, so not with the lock held
    const Change change(*this);
    TopicTable::Entry* entry = key ? table_.find(*key) : nullptr;
    if (entry == nullptr) {
        return;
    }
    auto& listeners = entry->second.listeners;
    const auto found =
        std::ranges::find(listeners, &listener, [](const auto& one) { return one.get(); });
    if (found != listeners.end()) {
        last = std::move(*found);
        listeners.erase(found);
        --listeners_;
        show_subscribers(*entry);
        drop_unwanted(*entry);
    }
}

void Hub::stand_for(std::string_view scope, std::string_view topic, TopicListener& listener,
                    std::uint32_t subscribers) noexcept {
    const std::optional<TopicKey> key = TopicKey::make(scope, topic, options_.hash_key);
    const std::lock_guard lock(mutex_);
    const TopicTable::Entry* entry = key ? table_.find(*key) : nullptr;
    if (entry == nullptr) {
        return;
    }
    const auto& listeners = entry->second.listeners;
    const auto is = [&](const auto& one) { return one.get() == &listener; };
    if (std::ranges::any_of(listeners, is)) {
        listener.stands_for_ = subscribers;
        show_subscribers(*entry);
    }
}

std::uint64_t Hub::subscribers(std::string_view scope, std::string_view topic) noexcept {
    const std::optional<TopicKey> key = TopicKey::make(scope, topic, options_.hash_key);
    if (!key) {
        return 0;
    }
    const std::uint64_t elsewhere = key->is_of_process() ? 0 : bus_.subscribers(*key);
    const std::lock_guard lock(mutex_);
    const TopicTable::Entry* entry = table_.find(*key);
    return elsewhere + (entry != nullptr ? subscribers_of(entry->second) : 0);
}

// --- publications --------------------------------------------------------------------------------

TopicResult Hub::publish(std::string_view scope, std::string_view topic, protocol::MessageType type,
                         std::span<const std::uint8_t> payload, engine::ConnectionId except,
                         std::string_view event_fields, Position* position) noexcept {
    const std::optional<TopicKey> key = TopicKey::make(scope, topic, options_.hash_key);
    if (!key) {
        return TopicResult::bad_name;
    }
    if (payload.size() + protocol::kMaxUnmaskedHeader >= engine::Gate::kMaxQueued) {
        return TopicResult::too_big;
    }
    const protocol::Opcode opcode =
        type == protocol::MessageType::text ? protocol::Opcode::text : protocol::Opcode::binary;
    if (options_.history != nullptr) {
        if (const HistoryLimits* limits = options_.history->limits_of(*key)) {
            return publish_kept(*key, *limits, opcode, payload, except, event_fields, position);
        }
    }
    const bool elsewhere = !key->is_of_process() && bus_.wanted(*key);
    if (!elsewhere && !has_subscribers(*key)) {
        return TopicResult::ok;
    }
    engine::SharedFrame frame;
    try {
        frame = engine::SharedFrame::build(opcode, payload);
        engine::set_event_fields(frame, event_fields);
    } catch (const std::bad_alloc&) {
        count(Drop::no_resources);
        return TopicResult::no_memory;
    }
    const TopicResult result = broadcast(*key, frame, except);
    return elsewhere ? worst_of(result, publish_elsewhere(*key, frame)) : result;
}

TopicResult Hub::publish_elsewhere(const TopicKey& key, const engine::SharedFrame& frame) noexcept {
    const BusResult sent = bus_.publish(key, frame);
    if (sent != BusResult::ok) {
        count(sent == BusResult::full ? Drop::busy_process : Drop::no_resources);
    }
    return result_of(sent);
}

void Hub::publish_here(std::string_view scope, std::string_view topic) noexcept {
    const std::optional<TopicKey> key = TopicKey::make(scope, topic, options_.hash_key);
    if (!key) {
        return;
    }
    try {
        static_cast<void>(
            broadcast(*key, engine::SharedFrame::build(protocol::Opcode::binary, {}), {}));
    } catch (const std::bad_alloc&) {
        count(Drop::no_resources);
    }
}

bool Hub::has_subscribers(const TopicKey& key) noexcept {
    const std::lock_guard lock(mutex_);
    return table_.find(key) != nullptr;
}

void Hub::receive(const TopicKey& key, const engine::SharedFrame& frame) noexcept {
    const Position position = position_of(frame);
    static_cast<void>(position ? broadcast_kept(key, frame, position)
                               : broadcast(key, frame, excepted(frame)));
}

void Hub::list_interests(const std::function<void(std::string_view)>& each) {
    const std::lock_guard lock(mutex_);
    table_.for_each([&](const TopicTable::Entry& topic) {
        const auto key = TopicKey::parse(TopicTable::bytes(topic), options_.hash_key);
        if (key && !key->is_of_process() && topic.second.wanted()) {
            each(key->bytes());
        }
    });
}

TopicResult Hub::broadcast(const TopicKey& key, const engine::SharedFrame& frame,
                           engine::ConnectionId except) noexcept {
    Missed missed;
    {
        const std::lock_guard lock(mutex_);
        TopicTable::Entry* topic = table_.find(key);
        if (topic == nullptr) {
            return TopicResult::ok;
        }
        missed = send_to_members(topic->second, frame, except);
    }
    return count(missed);
}

Hub::Missed Hub::send_to_members(const Topic& topic, const engine::SharedFrame& frame,
                                 engine::ConnectionId except) noexcept {
    Missed missed;
    for (const Topic::Share& share : topic.shares) {
        switch (engine_.broadcast(share.loop, topic.group, frame, except)) {
            case engine::SendResult::full: ++missed.full; break;
            case engine::SendResult::no_memory: ++missed.failed; break;
            default: break;  // a loop that has ended has no subscribers
        }
    }
    for (const auto& listener : topic.listeners) {
        if (!listener->take(frame)) {
            ++missed.full;
        }
    }
    return missed;
}

TopicResult Hub::count(const Missed& missed) noexcept {
    count(Drop::busy_loop, missed.full);
    count(Drop::no_resources, missed.failed);
    if (missed.failed > 0) {
        return TopicResult::no_memory;
    }
    return missed.full > 0 ? TopicResult::full : TopicResult::ok;
}

void Hub::on_too_slow(std::size_t members) noexcept { count(Drop::slow_subscriber, members); }

void Hub::count(Drop why, std::size_t messages) noexcept {
    if (drops_.count(why, messages)) {
        bus_.report_soon();
    }
}

void Hub::show() const noexcept {
    if (options_.counts != nullptr) {
        const auto show = [](TopicCounts::Count& count, std::size_t now) {
            count.store(static_cast<std::int64_t>(now), std::memory_order_relaxed);
        };
        show(options_.counts->topics, table_.topics());
        show(options_.counts->subscriptions, table_.subscriptions());
        show(options_.counts->listeners, listeners_);
    }
}

}  // namespace websocket::hub
