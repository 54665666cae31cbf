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
    /// Bytes of the extended length, 0, 2 or 8; -1 for as few as possible.
    int length_bytes = -1;
};

/// The header alone, announcing `length` bytes. What is legal comes from the encoder, which tests compare
/// with the RFC's own bytes.
[[nodiscard]] inline std::string client_header(const ClientFrame& frame, std::uint64_t length) {
    const protocol::EncodedHeader legal(frame.mask, frame.opcode, length, frame.fin);
    std::string header(legal.bytes().begin(), legal.bytes().end());
    if (frame.length_bytes >= 0) {
        const std::uint64_t length7 = frame.length_bytes == 0   ? length
                                      : frame.length_bytes == 2 ? protocol::kLength16
                                                                : protocol::kLength64;
        header.resize(2);
        header[1] = static_cast<char>(protocol::kMaskBit | length7);
        for (int i = frame.length_bytes - 1; i >= 0; --i) {
            header += static_cast<char>(length >> (8 * i));
        }
        header.append(frame.mask.begin(), frame.mask.end());
    }
    header[0] = static_cast<char>(header[0] | frame.rsv << 4);
    if (!frame.masked) {
        header[1] = static_cast<char>(header[1] & ~protocol::kMaskBit);
        header.resize(header.size() - frame.mask.size());
    }
    return header;
}

[[nodiscard]] inline std::string client_frame(const ClientFrame& frame) {
    const std::string header = client_header(frame, frame.payload.size());
    std::string bytes = header + std::string(frame.payload);
    if (frame.masked) {
        protocol::mask(
            {reinterpret_cast<std::uint8_t*>(bytes.data()) + header.size(), frame.payload.size()},
            frame.mask);
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
