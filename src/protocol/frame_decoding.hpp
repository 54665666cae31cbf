// SPDX-License-Identifier: Apache-2.0
// Decoding and checking of the peer's frame header, as early as the bytes allow.
#pragma once

#include <algorithm>
#include <optional>

#include "protocol/frame_header.hpp"

namespace websocket::protocol {

/// Decodes the header at the start of `bytes`, which the other end has sent: masked to a server, not masked
/// to a client. A violation is reported with the first byte that proves it: a length above the limit does
/// not wait for the mask. [any thread]
template <Role kRole = Role::server>
[[nodiscard]] HeaderResult decode_frame_header(std::span<const std::uint8_t> bytes,
                                               const MessageProgress& message,
                                               const ReaderLimits& limits) noexcept;

/// The same where permessage-deflate was negotiated, so that RSV1 has a meaning. A compressed
/// message may have several times the bytes of the limit: what counts is what it inflates to.
/// [any thread]
template <Role kRole = Role::server>
[[nodiscard]] HeaderResult decode_compressible_frame_header(std::span<const std::uint8_t> bytes,
                                                            const MessageProgress& message,
                                                            const ReaderLimits& limits) noexcept;

namespace header_checks {

inline constexpr std::size_t kBaseHeader = 2;
inline constexpr std::uint64_t kMax16 = 0xFFFF;

using Verdict = std::optional<Violation>;

inline Verdict broken(const char* reason) { return Violation{CloseCode::protocol_error, reason}; }

// The checks have a caller for each role. With one alone gcc inlines them by itself; the calls cost a small message
// more than what they do.

[[gnu::always_inline]] inline Verdict check_first_byte(std::uint8_t byte,
                                                       const MessageProgress& message) {
    if ((byte & kRsvBits) != 0) {
        return broken("a reserved bit is set");
    }
    const std::uint8_t opcode = byte & kOpcodeBits;
    if (!is_known(opcode)) {
        return broken("unknown opcode");
    }
    if ((opcode & kControlBit) != 0) {
        return (byte & kFin) != 0 ? Verdict{} : broken("fragmented control frame");
    }
    if (opcode == static_cast<std::uint8_t>(Opcode::continuation)) {
        return message.open ? Verdict{} : broken("continuation without a message");
    }
    return message.open ? broken("new message inside a fragmented one") : Verdict{};
}

template <Role kRole>
[[gnu::always_inline]] inline Verdict check_second_byte(std::uint8_t byte, bool control) {
    if constexpr (kRole == Role::server) {
        if ((byte & kMaskBit) == 0) {
            return broken("frame is not masked");
        }
    } else if ((byte & kMaskBit) != 0) {
        return broken("frame of a server is masked");
    }
    if (control && (byte & kLengthBits) > kMaxControlPayload) {
        return broken("control frame longer than 125 bytes");
    }
    return {};
}

[[gnu::always_inline]] inline Verdict check_length(std::uint64_t length, const FrameHeader& header,
                                                   const MessageProgress& message,
                                                   const ReaderLimits& limits) {
    if (header.opcode == Opcode::ping || header.opcode == Opcode::pong) {
        return {};  // no part of a message
    }
    const bool control = is_control(header.opcode);  // a Close; it counts as a message of its own
    const std::uint64_t before = control ? 0 : message.length;
    if (length > limits.max_message_size || before > limits.max_message_size - length) {
        return Violation{CloseCode::too_big, "message too big"};
    }
    const bool fragment = !control && (!header.fin || message.open);
    if (!fragment) {
        return {};
    }
    if (message.fragments >= limits.max_fragments) {
        return Violation{CloseCode::policy_violation, "too many fragments"};
    }
    if (length == 0 && message.empty_fragments >= limits.max_empty_fragments) {
        return Violation{CloseCode::policy_violation, "too many empty fragments"};
    }
    return {};
}

[[gnu::always_inline]] inline std::uint64_t big_endian(std::span<const std::uint8_t> bytes) {
    std::uint64_t value = 0;
    for (const std::uint8_t byte : bytes) {
        value = (value << 8) | byte;
    }
    return value;
}

inline HeaderResult incomplete() { return {HeaderStatus::incomplete, {}, {}}; }
inline HeaderResult violated(const Violation& violation) {
    return {HeaderStatus::violated, {}, violation};
}

inline std::size_t extended_length_size(std::uint8_t length7) {
    if (length7 < kLength16) return 0;
    return length7 == kLength16 ? 2 : 8;
}

}  // namespace header_checks

/// As decode_frame_header(), to be inlined where a call and its result in memory cost a small message more than the
/// checks do. [any thread]
template <Role kRole>
[[gnu::always_inline]] inline HeaderResult decode_here(std::span<const std::uint8_t> bytes,
                                                       const MessageProgress& message,
                                                       const ReaderLimits& limits) noexcept {
    using namespace header_checks;
    if (bytes.empty()) {
        return incomplete();
    }
    if (const Verdict verdict = check_first_byte(bytes[0], message)) {
        return violated(*verdict);
    }
    FrameHeader header{};
    header.opcode = static_cast<Opcode>(bytes[0] & kOpcodeBits);
    header.fin = (bytes[0] & kFin) != 0;
    if (bytes.size() < kBaseHeader) {
        return incomplete();
    }
    if (const Verdict verdict = check_second_byte<kRole>(bytes[1], is_control(header.opcode))) {
        return violated(*verdict);
    }

    const std::uint8_t length7 = bytes[1] & kLengthBits;
    const std::size_t extended = extended_length_size(length7);
    if (extended == 8 && bytes.size() > kBaseHeader && (bytes[kBaseHeader] & 0x80) != 0) {
        // Malformed, but no less too big; clients of the old module know it as that.
        return violated({CloseCode::too_big, "length above 63 bits"});
    }
    if (bytes.size() < kBaseHeader + extended) {
        return incomplete();
    }
    header.payload_length =
        extended == 0 ? length7 : big_endian(bytes.subspan(kBaseHeader, extended));
    if ((extended == 2 && header.payload_length < kLength16) ||
        (extended == 8 && header.payload_length <= kMax16)) {
        return violated({CloseCode::protocol_error, "length is not encoded in the fewest bytes"});
    }
    if (const Verdict verdict = check_length(header.payload_length, header, message, limits)) {
        return violated(*verdict);
    }

    header.size = kBaseHeader + extended;
    if constexpr (kRole == Role::server) {
        header.size += header.mask.size();
        if (bytes.size() < header.size) {
            return incomplete();
        }
        std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(header.size - header.mask.size()),
                    header.mask.size(), header.mask.begin());
    }
    return {HeaderStatus::complete, header, {}};
}

}  // namespace websocket::protocol
