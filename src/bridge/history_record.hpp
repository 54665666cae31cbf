// SPDX-License-Identifier: Apache-2.0
// A message of a topic with history, as the broker keeps it and tells the bridges of all hosts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bridge/envelope.hpp"
#include "hub/position.hpp"

namespace websocket::bridge {

/// A NUL, a version, 8 bytes of the epoch, then the offset and the broker's time in milliseconds in decimal digits, a blank
/// behind each: all that the broker writes. Then what a bridge has given it: a byte that says whether those of its host
/// have got it, 2 bytes with the length of the topic's key, the key, and an Envelope, whose sequence goes through all topics
/// of the host.
struct HistoryRecord {
    hub::Position at;
    std::int64_t time = 0;
    bool delivered = false;  ///< in the host that it comes from, before the broker had it
    std::string_view key;    ///< hub::TopicKey::bytes()
    Envelope message;

    /// The bridge's part. Throws std::bad_alloc.
    [[nodiscard]] static std::string body(bool delivered, std::string_view key,
                                          const Envelope& message);
    /// Refers to `payload`. Nothing when it is not what a broker and a bridge write.
    [[nodiscard]] static std::optional<HistoryRecord> of_payload(std::string_view payload) noexcept;
};

/// The channel on which all of them are told.
[[nodiscard]] inline std::string history_channel(std::string_view prefix) {
    return std::string(prefix) + "!history";
}

}  // namespace websocket::bridge
