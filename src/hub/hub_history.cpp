// SPDX-License-Identifier: Apache-2.0
// Topics with history. What is published gets its position from the memory that all processes share, and is in it before
// anybody gets it: so whoever sees that an offset is missing reads it there. All who have subscribed in this process are
// at the same offset (Topic::delivered), because who comes is first brought to where the others are.
#include <algorithm>
#include <new>
#include <optional>

#include "hub/hub.hpp"

namespace websocket::hub {

using engine::SharedFrame;

TopicResult Hub::publish_kept(const TopicKey& key, const HistoryLimits& limits,
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
            missed = advance(topic->second, key, frame, position, {});
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
    const std::optional<Position> top = options_.history->top(key, *topic.history);
    if (!top || top->epoch != position.epoch) {
        return false;
    }
    topic.delivered = {position.epoch, 0};  // the memory had forgotten the topic
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
        if (excerpt && excerpt->top.epoch != range.since.epoch) {
            range.since = topic.delivered = {excerpt->top.epoch, 0};
            excerpt = options_.history->read(key, *topic.history, range);
        }
        if (!excerpt) {
            return missed;
        }
        for (const SharedFrame& frame : excerpt->frames) {
            missed += send_to_members(topic, frame, {});
            topic.delivered = position_of(frame);
        }
        if (until == kTop) {
            topic.delivered = excerpt->top;
        }
    } catch (const std::bad_alloc&) {
        ++missed.failed;
    }
    return missed;
}

/// The connection has not joined yet: what it is sent comes before all that is broadcast from now on.
void Hub::send_missed(const TopicKey& key, const Topic& topic, engine::ConnectionId id,
                      const Return& from, Recovered& recovered) {
    const auto excerpt = options_.history->read(
        key, *topic.history, {.since = from.since, .until = topic.delivered.offset});
    recovered.complete = excerpt && excerpt->complete &&
                         from.since.offset <= topic.delivered.offset &&
                         engine_.queued(id).value_or(0) + excerpt->bytes <= from.room;
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
