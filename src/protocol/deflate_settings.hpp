// SPDX-License-Identifier: Apache-2.0
// What a connection has agreed on about compression (RFC 7692 section 7), and what an administrator
// lets it agree on.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "protocol/frame.hpp"

namespace websocket::protocol {

/// What a flush of zlib ends with; it is left out on the wire (RFC 7692 section 7.2.1).
inline constexpr std::array<std::uint8_t, 4> kFlushTail{0x00, 0x00, 0xFF, 0xFF};

/// zlib has no raw stream with a smaller window: it refuses 8 bits or silently uses 9.
constexpr unsigned kMinWindowBits = 9;
constexpr unsigned kMaxWindowBits = 15;

/// The permessage-deflate of one connection; by default there is none. Small enough to be atomic.
struct alignas(8) DeflateSettings {
    std::uint8_t server_bits = 0;  ///< window of what the server sends, 8 to 15; 0: nothing agreed
    std::uint8_t client_bits = 0;  ///< window of what the client sends, 8 to 15
    bool server_takeover = false;  ///< the server's messages refer to earlier ones
    bool client_takeover = false;  ///< the client's messages do
    // Our own choice; the other end need not know.
    std::uint8_t level = 1;         ///< 1 (fast) to 9 (small)
    std::uint8_t memory_level = 8;  ///< zlib's: the compressor's tables have 2^(level + 9) bytes
    std::uint16_t min_size = 0;     ///< bytes below which a message is sent as it is

    [[nodiscard]] constexpr bool agreed() const noexcept { return server_bits != 0; }
    /// Whether a frame with this much payload is worth a try.
    [[nodiscard]] constexpr bool applies_to(Opcode opcode, std::size_t size) const noexcept {
        return agreed() && size >= min_size && size > 0 && !is_control(opcode);
    }

    bool operator==(const DeflateSettings&) const = default;
};
static_assert(sizeof(DeflateSettings) == 8);

/// What may be agreed on: a server's for a location, or what a client asks for.
struct DeflatePolicy {
    bool enabled = false;
    bool server_takeover = false;
    bool client_takeover = false;
    std::uint8_t server_bits = kMaxWindowBits;  ///< most, 9 to 15
    std::uint8_t client_bits = kMaxWindowBits;  ///< most, 9 to 15, of clients that can be told
    std::uint8_t level = 1;
    std::uint8_t memory_level = 8;
    std::uint16_t min_size = 0;

    bool operator==(const DeflatePolicy&) const = default;
};

}  // namespace websocket::protocol
