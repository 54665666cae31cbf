// SPDX-License-Identifier: Apache-2.0
// Topics with history. What is published gets its position from the memory that all processes share, and is in it before
// anybody gets it: so whoever sees that an offset is missing reads it there. All who have subscribed in this process are
// at the same offset (Topic::delivered), because who comes is first brought to where the others are. Where there is a broker
// that orders the messages of all hosts, the bridge puts them into the memory, in that order, and tells of them.
#include <algorithm>
#include <new>
#include <optional>

#include "engine/event_form.hpp"
#include "hub/hub.hpp"

namespace websocket::hub {

using engine::SharedFrame;

TopicResult Hub::publish_kept(const TopicKey& key, const HistoryLimits& limits,
                              protocol::Opcode opcode, std::span<const std::uint8_t> payload,
                              engine::ConnectionId except, std::string_view event_fields,
                              Position* position) noexcept {
    if (bus_.is_ordered()) {
        const TopicResult result = publish_ordered(key, opcode, payload, except, event_fields);
        if (result != TopicResult::unavailable) {
            return result;
        }
    }
    return publish_here_first(key, limits, opcode, payload, except, event_fields, position);
}

TopicResult Hub::publish_ordered(const TopicKey& key, protocol::Opcode opcode,
                                 std::span<const std::uint8_t> payload, engine::ConnectionId except,
                                 std::string_view event_fields) noexcept {
    BusResult sent = BusResult::no_memory;
    try {
        const SharedFrame frame = SharedFrame::build(opcode, payload);
        engine::set_event_fields(frame, event_fields);
        set_origin(frame, {self_, except.value()});
        sent = bus_.order(key, frame);
    } catch (const std::bad_alloc&) {
    }
    switch (sent) {
        case BusResult::ok: return TopicResult::ok;
        case BusResult::full: count(Drop::busy_process); return TopicResult::full;
        case BusResult::no_memory: count(Drop::no_resources); return TopicResult::no_memory;
        case BusResult::unavailable: break;
    }
    return TopicResult::unavailable;
}

void Hub::take_back(const TopicKey& key, const SharedFrame& frame) noexcept {
    if (options_.history == nullptr) {
        return;
    }
    if (const HistoryLimits* limits = options_.history->limits_of(key)) {
        static_cast<void>(publish_here_first(key, *limits, frame.opcode(), frame.payload(),
                                             excepted(frame), engine::event_fields_of(frame),
                                             nullptr));
    }
}

engine::ConnectionId Hub::excepted(const SharedFrame& frame) const noexcept {
    const Origin origin = origin_of(frame);
    return engine::ConnectionId::from_value(origin.process == self_ ? origin.connection : 0);
}

TopicResult Hub::publish_here_first(const TopicKey& key, const HistoryLimits& limits,
                                    protocol::Opcode opcode, std::span<const std::uint8_t> payload,
                                    engine::ConnectionId except, std::string_view event_fields,
                                    Position* position) noexcept {
    Missed missed;
    SharedFrame frame;
    try {
        frame = SharedFrame::build(opcode, payload);
        const std::lock_guard lock(mutex_);
        const std::optional<Position> at =
            options_.history->append(key, limits, opcode, payload, event_fields);
        if (!at) {
            return TopicResult::unavailable;
        }
        if (position != nullptr) {
            *position = *at;
        }
        mark_with_position(frame, event_fields, *at);
        if (TopicTable::Entry* topic = table_.find(key)) {
            missed = advance(topic->second, key, frame, *at, except);
        }
    } catch (const std::bad_alloc&) {
        count(
            Drop::no_resources);  // if it is in the memory, subscribers get it when somebody looks
        return TopicResult::no_memory;
    }
    const TopicResult result = count(missed);
    // Asked for now: who has subscribed meanwhile has read the memory before it was there, or with it in it.
    return bus_.wanted(key) ? std::max(result, publish_elsewhere(key, frame)) : result;
}

TopicResult Hub::broadcast_kept(const TopicKey& key, const SharedFrame& frame,
                                const Position& position) noexcept {
    Missed missed;
    {
        const std::lock_guard lock(mutex_);
        if (TopicTable::Entry* topic = table_.find(key)) {
            missed = advance(topic->second, key, frame, position, excepted(frame));
        }
    }
    return count(missed);
}

Hub::Missed Hub::advance(Topic& topic, const TopicKey& key, const SharedFrame& frame,
                         const Position& position, engine::ConnectionId except) noexcept {
    if (!belongs(topic, key, position)) {
        return send_to_members(topic, frame,
                               except);  // of processes with another memory: as without history
    }
    if (position.offset <= topic.delivered.offset) {
        return {};  // was read from the memory
    }
    Missed missed = catch_up(topic, key, position.offset - 1);
    missed += send_to_members(topic, frame, except);
    topic.delivered = position;
    return missed;
}

bool Hub::belongs(Topic& topic, const TopicKey& key, const Position& position) noexcept {
    if (topic.history == nullptr || topic.delivered.epoch == position.epoch) {
        return topic.history != nullptr;
    }
    const std::optional<Position> start = options_.history->start_of(key);
    if (!start || start->epoch != position.epoch) {
        return false;
    }
    topic.delivered = *start;  // the memory had forgotten the topic, or the broker has come or gone
    return true;
}

Hub::Missed Hub::catch_up(Topic& topic, const TopicKey& key, std::uint64_t until) noexcept {
    Missed missed;
    if (topic.history == nullptr || until <= topic.delivered.offset) {
        return missed;
    }
    try {
        HistoryRange range{.since = topic.delivered, .until = until};
        std::optional<HistoryExcerpt> excerpt = options_.history->read(key, *topic.history, range);
        if (excerpt && excerpt->top.epoch != range.since.epoch && until == kTop) {
            const std::optional<Position> start = options_.history->start_of(key);
            range.since = topic.delivered = start.value_or(excerpt->top);
            excerpt = options_.history->read(key, *topic.history, range);
        }
        // An offset of an epoch that is over says nothing of another one.
        if (!excerpt || excerpt->top.epoch != range.since.epoch) {
            return missed;
        }
        for (const SharedFrame& frame : excerpt->frames) {
            missed += send_to_members(topic, frame, excepted(frame));
            topic.delivered = position_of(frame);
        }
        if (until == kTop) {
            topic.delivered.offset = std::max(topic.delivered.offset, excerpt->top.offset);
        }
    } catch (const std::bad_alloc&) {
        ++missed.failed;
    }
    return missed;
}

/// The connection has not joined yet: what it is sent comes before all that is broadcast from now on.
void Hub::send_missed(const TopicKey& key, const Topic& topic, engine::ConnectionId id,
                      const Return& from, Recovered& recovered) {
    const std::size_t queued = engine_.queued(id).value_or(0);
    const auto excerpt =
        options_.history->read(key, *topic.history,
                               {.since = from.since,
                                .until = topic.delivered.offset,
                                .whole_within = from.room - std::min(queued, from.room)});
    recovered.complete =
        excerpt && excerpt->complete && from.since.offset <= topic.delivered.offset;
    if (!recovered.complete) {
        return;
    }
    for (const SharedFrame& frame : excerpt->frames) {
        // There is room; what others send meanwhile must not make a hole.
        const engine::SendResult result = engine_.send(id, frame, engine::Gate::kMaxQueued);
        if (result != engine::SendResult::ok && result != engine::SendResult::queued) {
            recovered.complete = false;
            return;
        }
    }
}

bool Hub::keeps(std::string_view scope, std::string_view topic) const noexcept {
    const std::optional<TopicKey> key = TopicKey::make(scope, topic, options_.hash_key);
    return key && options_.history != nullptr && options_.history->limits_of(*key) != nullptr;
}

TopicResult Hub::read(std::string_view scope, std::string_view topic, const HistoryRange& range,
                      HistoryExcerpt& excerpt) noexcept {
    const std::optional<TopicKey> key = TopicKey::make(scope, topic, options_.hash_key);
    if (!key) {
        return TopicResult::bad_name;
    }
    const HistoryLimits* limits =
        options_.history != nullptr ? options_.history->limits_of(*key) : nullptr;
    if (limits == nullptr) {
        return TopicResult::no_history;
    }
    try {
        HistoryRange known = range;
        std::uint64_t reached = kTop;  // by those who have subscribed here
        Missed missed;
        {
            const std::lock_guard lock(mutex_);
            if (TopicTable::Entry* entry = table_.find(*key)) {
                missed = catch_up(entry->second, *key, kTop);
                reached = entry->second.delivered.offset;
                known.until = std::min(known.until, reached);
            }
        }
        static_cast<void>(count(missed));
        auto found = options_.history->read(*key, *limits, known);
        if (!found) {
            return TopicResult::unavailable;
        }
        excerpt = std::move(*found);
        excerpt.top.offset = std::min(excerpt.top.offset, reached);
        excerpt.complete = excerpt.complete && range.since.offset <= reached;
        return TopicResult::ok;
    } catch (const std::bad_alloc&) {
        return TopicResult::no_memory;
    }
}

void Hub::look_after_history() noexcept {
    const std::uint64_t appended = options_.history != nullptr ? options_.history->appended() : 0;
    if (looked_at_.exchange(appended) == appended) {
        return;
    }
    Missed missed;
    {
        const std::lock_guard lock(mutex_);
        table_.for_each([&](TopicTable::Entry& topic) {
            const auto key = TopicKey::parse(TopicTable::bytes(topic), options_.hash_key);
            if (key && topic.second.history != nullptr) {
                missed += catch_up(topic.second, *key, kTop);
            }
        });
    }
    static_cast<void>(count(missed));
}

}  // namespace websocket::hub
