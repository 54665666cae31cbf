// SPDX-License-Identifier: Apache-2.0
// What is known of a frame before its payload, and what its peer may make us hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "protocol/close_code.hpp"
#include "protocol/frame.hpp"
#include "protocol/masking.hpp"
#include "protocol/role.hpp"

namespace websocket::protocol {

/// What a peer may make us hold. Every limit is inclusive.
struct ReaderLimits {
    /// Bytes, all fragments of a message together. Pings and Pongs have their own limit.
    std::uint64_t max_message_size = 32U << 20;
    std::uint32_t max_fragments = 131072;     ///< frames of one message
    std::uint32_t max_empty_fragments = 100;  ///< of these, frames without payload
    /// Bytes that an byte of a compressed message may become, once there are kInflatedUnchecked.
    std::uint32_t max_inflate_ratio = 200;
    bool allow_reserved_close_codes = false;  ///< see is_reserved()

    bool operator==(const ReaderLimits&) const = default;
};

/// Why a connection has to be failed (RFC 6455 section 7.1.7).
struct Violation {
    CloseCode code;
    const char* reason;  ///< static text; goes into the Close frame and the log
};

struct FrameHeader;

/// The message that the next frame may continue.
struct MessageProgress {
    bool open = false;  ///< a first fragment has come, the final one has not
    MessageType type = MessageType::text;
    std::uint64_t length = 0;           ///< bytes of payload announced by its frames so far
    std::uint32_t fragments = 0;        ///< its frames so far
    std::uint32_t empty_fragments = 0;  ///< of these, without payload
    bool compressible = false;          ///< permessage-deflate was negotiated: RSV1 has a meaning
    bool compressed = false;            ///< RSV1 was set on its first frame

    /// A frame with data follows, which continues the message or is its first one.
    void add(const FrameHeader& frame) noexcept;
};

/// A frame header that passed every check.
struct FrameHeader {
    Opcode opcode;
    bool fin;
    MaskKey mask;                  ///< of a client's frame
    bool compressed;               ///< the first frame of a compressed message
    std::uint64_t payload_length;  ///< at most 2^63 - 1
    std::size_t size;              ///< bytes of the header itself
};

enum class HeaderStatus : std::uint8_t { incomplete, complete, violated };

/// `header` is set when complete, `violation` when violated.
struct HeaderResult {
    HeaderStatus status;
    FrameHeader header;
    Violation violation;
};

}  // namespace websocket::protocol
