// SPDX-License-Identifier: Apache-2.0
//
// Frames as a client sends them, right and wrong ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/frame.hpp"
#include "protocol/masking.hpp"

namespace websocket::test {

using protocol::Opcode;

/// How a frame is built; the fields that a test does not name make a legal whole frame.
struct ClientFrame {
    Opcode opcode = Opcode::text;
    std::string_view payload{};
    bool fin = true;
    std::uint8_t rsv = 0;  ///< 1, 2 or 4 for RSV3, RSV2 or RSV1, or a sum
    bool masked = true;
    protocol::MaskKey mask{0x37, 0xFA, 0x21, 0x3D};
    /// Octets of the extended length, 0, 2 or 8; -1 for as few as possible.
    int length_octets = -1;
};

/// The header alone, announcing `length` octets.
[[nodiscard]] inline std::string client_header(const ClientFrame& frame, std::uint64_t length) {
    const int fewest = length < 126 ? 0 : length <= 0xFFFF ? 2 : 8;
    const int octets = frame.length_octets < 0 ? fewest : frame.length_octets;
    const std::uint64_t length7 = octets == 0 ? length : octets == 2 ? 126 : 127;
    std::string header;
    header += static_cast<char>((frame.fin ? 0x80 : 0) | (frame.rsv << 4) |
                                static_cast<int>(frame.opcode));
    header += static_cast<char>((frame.masked ? 0x80U : 0U) | length7);
    for (int i = octets - 1; i >= 0; --i) header += static_cast<char>(length >> (8 * i));
    if (frame.masked) header.append(frame.mask.begin(), frame.mask.end());
    return header;
}

[[nodiscard]] inline std::string client_frame(const ClientFrame& frame) {
    std::string bytes = client_header(frame, frame.payload.size());
    for (std::size_t i = 0; i < frame.payload.size(); ++i) {
        const int key = frame.masked ? frame.mask.at(i % 4) : 0;
        bytes += static_cast<char>(static_cast<unsigned char>(frame.payload[i]) ^ key);
    }
    return bytes;
}

/// Payload of a Close frame.
[[nodiscard]] inline std::string close_payload(unsigned code, std::string_view reason = {}) {
    std::string payload{static_cast<char>(code >> 8), static_cast<char>(code & 0xFF)};
    payload += reason;
    return payload;
}

}  // namespace websocket::test
