// SPDX-License-Identifier: Apache-2.0
// What a client wants, as far as the first bytes of its connection tell, before anybody has read them.
#pragma once

#include <cstdint>
#include <span>

namespace websocket::protocol {

enum class Wish : std::uint8_t {
    incomplete,    ///< there may be more to come that tells
    upgrade,       ///< a request of HTTP/1 with "Upgrade: websocket"
    event_stream,  ///< one that accepts text/event-stream
    tls_http1,  ///< a ClientHello of TLS that does not offer HTTP/2, so it may be for a WebSocket
    something_else,  ///< also what nobody understands
};

/// Most bytes that are looked at: a longer head is something else.
inline constexpr std::size_t kMaxFirstBytes = 16384;

/// A header of the PROXY protocol, version 1 or 2, may come first. [any thread]
[[nodiscard]] Wish wish_of(std::span<const std::uint8_t> bytes) noexcept;

}  // namespace websocket::protocol
