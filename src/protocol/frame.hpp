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

/// Writes the header of one unmasked frame, which ends its message or does not, to where
/// kMaxUnmaskedHeader bytes have room; `compressed` marks the first frame of a compressed message. Returns
/// where it ends. [any thread]
constexpr std::uint8_t* put_header(std::uint8_t* to, Opcode opcode, std::uint64_t payload_length,
                                   bool fin = true, bool compressed = false) noexcept {
    *to++ = static_cast<std::uint8_t>((fin ? kFin : 0) | (compressed ? kRsv1 : 0) |
                                      static_cast<std::uint8_t>(opcode));
    if (payload_length < kLength16) {
        *to++ = static_cast<std::uint8_t>(payload_length);
        return to;
    }
    const bool longer = payload_length > 0xFFFF;
    *to++ = longer ? kLength64 : kLength16;
    for (int shift = longer ? 56 : 8; shift >= 0; shift -= 8) {
        *to++ = static_cast<std::uint8_t>(payload_length >> shift);
    }
    return to;
}

/// An encoded header: `bytes()` is what goes on the wire before the payload.
class EncodedHeader {
public:
    /// As put_header(). [any thread]
    constexpr EncodedHeader(Opcode opcode, std::uint64_t payload_length, bool fin = true,
                            bool compressed = false) noexcept {
        size_ = static_cast<std::size_t>(
            put_header(bytes_.data(), opcode, payload_length, fin, compressed) - bytes_.data());
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
    std::array<std::uint8_t, kMaxMaskedHeader> bytes_{};
    std::size_t size_ = 0;
};

}  // namespace websocket::protocol
