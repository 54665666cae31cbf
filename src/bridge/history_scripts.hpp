// SPDX-License-Identifier: Apache-2.0
// What a Redis server does for topics with history, in one step each.
#pragma once

#include <string>
#include <string_view>

namespace websocket::bridge {

/// Of one topic: a hash with the epoch ("e", 8 bytes), the offset of the last message ("s") and the number of the last
/// message of each host ("n:" and its 8 bytes); and a stream of HistoryRecords, whose ids are their offsets.
struct HistoryKeys {
    HistoryKeys(std::string_view prefix, std::string_view channel);
    std::string meta;
    std::string stream;
};
/// A random one, in 8 bytes.
[[nodiscard]] std::string new_epoch();
/// The set of all topics that have some: hub::TopicKey::bytes().
[[nodiscard]] std::string history_index(std::string_view prefix);

/// Keeps a message and publishes it, unless it has done so before.
/// KEYS: meta, stream, index. ARGV: a new epoch should one be needed, messages to keep, milliseconds to keep them, host,
/// number of the message, the last position that the bridge has seen (epoch, offset), channel, HistoryRecord::body(), the
/// topic's key. Returns 1, 2 if the topic is new in the index, or 0 for one that it has had.
/// A server that has lost what the bridge has seen begins a new epoch.
extern const std::string_view kPublishScript;

/// Reads messages.
/// KEYS: meta, stream, index. ARGV: a new epoch should one be needed, epoch and offset of the last position that the bridge has
/// seen, the first offset to read if this is the epoch still (else as many as are kept), messages to keep, the topic's key.
/// Returns epoch, offset of the last message, the server's time in milliseconds, then records; nothing for a topic that
/// the server does not know, which is then not in the index, either.
extern const std::string_view kReadScript;
/// So many records at most, or bytes and one more record.
inline constexpr unsigned kReadRecords = 256;

}  // namespace websocket::bridge
