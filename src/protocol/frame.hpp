// SPDX-License-Identifier: Apache-2.0
// The frame of RFC 6455 section 5.2 as it is written. Every frame that leaves the process is encoded here
// and nowhere else.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "protocol/masking.hpp"
#include "protocol/role.hpp"

namespace websocket::protocol {

/// RFC 6455 section 11.8. Values outside of this list are reserved and never leave FrameHeader
/// checks.
enum class Opcode : std::uint8_t {
    continuation = 0x0,
    text = 0x1,
    binary = 0x2,
    close = 0x8,
    ping = 0x9,
    pong = 0xA,
};

/// What a data message carries.
enum class MessageType : std::uint8_t { text, binary };

constexpr std::uint8_t kFin = 0x80;
constexpr std::uint8_t kRsvBits = 0x70;
constexpr std::uint8_t kRsv1 = 0x40;  ///< on the first frame of a compressed message (RFC 7692)
constexpr std::uint8_t kOpcodeBits = 0x0F;
constexpr std::uint8_t kControlBit = 0x08;
constexpr std::uint8_t kMaskBit = 0x80;
constexpr std::uint8_t kLengthBits = 0x7F;
constexpr std::uint8_t kLength16 = 126;  ///< two length bytes follow
constexpr std::uint8_t kLength64 = 127;  ///< eight length bytes follow

/// RFC 6455 section 5.5: bytes that a control frame may carry.
constexpr std::size_t kMaxControlPayload = 125;
/// Bytes of the longest header that a server writes (it never masks).
constexpr std::size_t kMaxUnmaskedHeader = 10;
/// Bytes of the longest header that a client writes.
constexpr std::size_t kMaxMaskedHeader = kMaxUnmaskedHeader + 4;
/// Bytes of the longest header that comes to somebody in this role.
template <Role kRole>
constexpr std::size_t kMaxHeader = kRole == Role::server ? kMaxMaskedHeader : kMaxUnmaskedHeader;

[[nodiscard]] constexpr bool is_control(Opcode opcode) noexcept {
    return (static_cast<std::uint8_t>(opcode) & kControlBit) != 0;
}

/// Of a text or binary frame.
[[nodiscard]] constexpr MessageType message_type(Opcode opcode) noexcept {
    return opcode == Opcode::text ? MessageType::text : MessageType::binary;
}

[[nodiscard]] constexpr bool is_known(std::uint8_t opcode) noexcept {
    return opcode <= 0x2 || (opcode >= 0x8 && opcode <= 0xA);
}

/// An encoded header: `bytes()` is what goes on the wire before the payload.
class EncodedHeader {
public:
    /// The header of one unmasked frame, which ends its message or does not; `compressed` marks the
    /// first frame of a compressed message. [any thread]
    constexpr EncodedHeader(Opcode opcode, std::uint64_t payload_length, bool fin = true,
                            bool compressed = false) noexcept {
        bytes_[0] = static_cast<std::uint8_t>((fin ? kFin : 0) | (compressed ? kRsv1 : 0) |
                                              static_cast<std::uint8_t>(opcode));
        if (payload_length < kLength16) {
            bytes_[1] = static_cast<std::uint8_t>(payload_length);
            size_ = 2;
        } else if (payload_length <= 0xFFFF) {
            bytes_[1] = kLength16;
            append_big_endian(payload_length, 2);
        } else {
            bytes_[1] = kLength64;
            append_big_endian(payload_length, 8);
        }
    }

    /// The same of a frame whose payload is masked with `key`, as a client writes it: see MaskKeys. [any thread]
    constexpr EncodedHeader(MaskKey key, Opcode opcode, std::uint64_t payload_length,
                            bool fin = true, bool compressed = false) noexcept
        : EncodedHeader(opcode, payload_length, fin, compressed) {
        bytes_[1] |= kMaskBit;
        for (const std::uint8_t byte : key) {
            bytes_[size_++] = byte;
        }
    }

    [[nodiscard]] constexpr std::span<const std::uint8_t> bytes() const noexcept {
        return {bytes_.data(), size_};
    }

private:
    constexpr void append_big_endian(std::uint64_t value, std::size_t width) noexcept {
        for (std::size_t i = 0; i < width; ++i) {
            bytes_[2 + i] = static_cast<std::uint8_t>(value >> (8 * (width - 1 - i)));
        }
        size_ = 2 + width;
    }

    std::array<std::uint8_t, kMaxMaskedHeader> bytes_{};
    std::size_t size_ = 0;
};

}  // namespace websocket::protocol
