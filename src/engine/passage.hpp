// SPDX-License-Identifier: Apache-2.0
// What may leave while a message goes out in parts (RFC 6455 section 5.4).
#pragma once

#include <cstdint>

#include "protocol/frame.hpp"

namespace websocket::engine {

/// Of a message that goes out in more than one frame.
[[nodiscard]] constexpr bool is_part(protocol::Opcode opcode, bool fin) noexcept {
    return !protocol::is_control(opcode) && (opcode == protocol::Opcode::continuation || !fin);
}

/// Parts belong together: a message goes on, and is not interrupted by another one in parts. `streaming`: a message
/// is out in part.
[[nodiscard]] constexpr bool is_out_of_order(protocol::Opcode opcode, bool fin,
                                             bool streaming) noexcept {
    const bool begins = opcode != protocol::Opcode::continuation;
    return is_part(opcode, fin) && begins == streaming;
}

/// Where a frame goes while another message goes out in parts.
enum class Passage : std::uint8_t {
    behind,   ///< a whole message waits for the last part
    between,  ///< a part goes on with that message, and control frames may come at any time
};

[[nodiscard]] constexpr Passage passage_of(protocol::Opcode opcode, bool fin) noexcept {
    return is_part(opcode, fin) || protocol::is_control(opcode) ? Passage::between
                                                                : Passage::behind;
}
/// `first`: the first byte of the frame.
[[nodiscard]] constexpr Passage passage_of(std::uint8_t first) noexcept {
    return passage_of(static_cast<protocol::Opcode>(first & protocol::kOpcodeBits),
                      (first & protocol::kFin) != 0);
}

}  // namespace websocket::engine
