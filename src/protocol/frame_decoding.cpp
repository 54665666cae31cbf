// SPDX-License-Identifier: Apache-2.0
#include "protocol/frame_decoding.hpp"

#include <algorithm>
#include <array>

namespace websocket::protocol {

namespace {

/// RFC 7692 section 6: RSV1 alone, on the first frame of a data message.
bool is_compression_mark(std::uint8_t byte) {
    const std::uint8_t opcode = byte & kOpcodeBits;
    return (byte & kRsvBits) == kRsv1 && (opcode & kControlBit) == 0 &&
           opcode != static_cast<std::uint8_t>(Opcode::continuation);
}

/// What counts is what a message inflates to; this bounds what inflates to nothing. A sender that
/// flushes behind each byte makes 7 of it, the byte's block and the empty one of the flush, and 5 of a
/// fragment without any.
std::uint64_t most_compressed(std::uint64_t size, std::uint32_t fragments) {
    constexpr std::uint64_t kByte = 8;
    constexpr std::uint64_t kFragment = 8;
    const std::uint64_t extra = kFragment * (std::uint64_t{fragments} + 1) + 64;
    return size > (UINT64_MAX - extra) / kByte ? UINT64_MAX : kByte * size + extra;
}

}  // namespace

template <Role kRole>
HeaderResult decode_frame_header(std::span<const std::uint8_t> bytes,
                                 const MessageProgress& message,
                                 const ReaderLimits& limits) noexcept {
    return decode_here<kRole>(bytes, message, limits);
}

template <Role kRole>
HeaderResult decode_compressible_frame_header(std::span<const std::uint8_t> bytes,
                                              const MessageProgress& message,
                                              const ReaderLimits& limits) noexcept {
    const bool marked = !bytes.empty() && is_compression_mark(bytes[0]);
    const bool control = !bytes.empty() && (bytes[0] & kControlBit) != 0;
    if (!marked && (control || !message.compressed)) {
        return decode_frame_header<kRole>(bytes, message, limits);
    }
    std::array<std::uint8_t, kMaxHeader<kRole>> unmarked{};
    const std::span<const std::uint8_t> front =
        bytes.first(std::min(bytes.size(), unmarked.size()));
    std::copy(front.begin(), front.end(), unmarked.begin());
    unmarked[0] &= static_cast<std::uint8_t>(marked ? ~kRsv1 : ~0);
    ReaderLimits wider = limits;
    wider.max_message_size = most_compressed(limits.max_message_size, message.fragments);
    HeaderResult result =
        decode_frame_header<kRole>({unmarked.data(), front.size()}, message, wider);
    result.header.compressed = marked;
    return result;
}

template HeaderResult decode_frame_header<Role::server>(std::span<const std::uint8_t>,
                                                        const MessageProgress&,
                                                        const ReaderLimits&) noexcept;
template HeaderResult decode_frame_header<Role::client>(std::span<const std::uint8_t>,
                                                        const MessageProgress&,
                                                        const ReaderLimits&) noexcept;
template HeaderResult decode_compressible_frame_header<Role::server>(std::span<const std::uint8_t>,
                                                                     const MessageProgress&,
                                                                     const ReaderLimits&) noexcept;
template HeaderResult decode_compressible_frame_header<Role::client>(std::span<const std::uint8_t>,
                                                                     const MessageProgress&,
                                                                     const ReaderLimits&) noexcept;

}  // namespace websocket::protocol
