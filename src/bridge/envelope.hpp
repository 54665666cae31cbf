// SPDX-License-Identifier: Apache-2.0
// What is published to a channel of the broker: a message with where it comes from, or a message alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace websocket::bridge {

/// A NUL, a version, a type, 8 bytes of the host and 8 of the number, most significant first; then, if the type says
/// so, 2 bytes with the length of an event's fields and these; then the message. What does not begin with a NUL is a
/// message of somebody who is no bridge: text if it is UTF-8.
struct Envelope {
    enum class Type : std::uint8_t { text = 1, binary = 2, heartbeat = 3, presence = 4 };
    static constexpr std::size_t kHead = 19;

    Type type = Type::text;
    std::uint64_t host = 0;      ///< of the bridge; 0 for none
    std::uint64_t sequence = 0;  ///< from 1 on in each channel, of each host
    std::string_view fields;     ///< see protocol::event_fields(); usually none
    std::string_view message;

    /// Throws std::bad_alloc.
    [[nodiscard]] std::string to_payload() const;
    /// Refers to `payload`. Nothing when a bridge does not write the like: a version of later, or not whole, or text
    /// that is not UTF-8.
    [[nodiscard]] static std::optional<Envelope> of_payload(std::string_view payload) noexcept;
};

/// What a bridge says of itself, again and again.
struct Heartbeat {
    std::uint64_t dropped = 0;  ///< messages that it has not published since it began

    [[nodiscard]] std::string to_message() const;
    [[nodiscard]] static std::optional<Heartbeat> of_message(std::string_view message) noexcept;
};

}  // namespace websocket::bridge
