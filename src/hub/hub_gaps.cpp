// SPDX-License-Identifier: Apache-2.0
// Gaps, on their way from the bus to listeners of this process.
#include <new>
#include <string>

#include "hub/hub.hpp"

namespace websocket::hub {

namespace {

/// A topic of this process alone, in a scope that nobody publishes to.
constexpr std::string_view kGapTopic{"\0gap", 4};

engine::SharedFrame gap_message(std::string_view topic, GapReason why) {
    std::string payload(1, static_cast<char>(why));
    payload += topic;
    return engine::SharedFrame::build(
        protocol::Opcode::binary,
        {reinterpret_cast<const std::uint8_t*>(payload.data()), payload.size()});
}

/// By TopicKey::bytes().
bool hears_gaps(std::string_view key) noexcept {
    return key.size() > 1 && key[1] == '!' && key.ends_with(kGapTopic) &&
           key.size() == std::size_t{1} + static_cast<std::uint8_t>(key[0]) + kGapTopic.size();
}

}  // namespace

std::string Hub::gap_scope(std::string_view scope) { return '!' + std::string(scope); }

std::string_view Hub::gap_topic() noexcept { return kGapTopic; }

bool Hub::on_gap(std::string_view key, GapReason why) noexcept {
    try {
        const auto topic =
            key != kAllTopics ? TopicKey::parse(key, options_.hash_key) : std::nullopt;
        const engine::SharedFrame message =
            gap_message(topic ? topic->name() : std::string_view(), why);
        const auto heard =
            topic ? TopicKey::make(gap_scope(topic->scope()), kGapTopic, options_.hash_key)
                  : std::nullopt;
        if (key != kAllTopics && !heard) {
            return true;  // nobody could have asked for it
        }
        Missed missed;
        const std::lock_guard lock(mutex_);
        if (heard) {
            // The bus is told only roughly what is wanted.
            const TopicTable::Entry* entry =
                table_.find(*topic) != nullptr ? table_.find(*heard) : nullptr;
            if (entry != nullptr) {
                missed = send_to_members(entry->second, message, {});
            }
        } else {
            table_.for_each([&](const TopicTable::Entry& entry) {
                if (hears_gaps(TopicTable::bytes(entry))) {
                    missed += send_to_members(entry.second, message, {});
                }
            });
        }
        return missed.full + missed.failed == 0;
    } catch (const std::bad_alloc&) {
        return false;
    }
}

}  // namespace websocket::hub
