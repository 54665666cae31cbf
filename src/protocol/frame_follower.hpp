// SPDX-License-Identifier: Apache-2.0
// Finds the frames of a stream that somebody else will read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "protocol/frame.hpp"
#include "protocol/frame_header.hpp"
#include "protocol/role.hpp"

namespace websocket::protocol {

/// What a stream goes on with.
enum class Piece : std::uint8_t {
    incomplete,  ///< nothing that could be told from so few bytes
    header,      ///< of a frame with data
    payload,     ///< of that frame
    control,     ///< a control frame, header and payload
    violation,   ///< nothing that may be passed on
};

struct FollowedPiece {
    Piece kind;
    std::size_t size = 0;      ///< bytes of it, all of which were given
    FrameHeader frame = {};    ///< with a header, or a control frame
    Violation violation = {};  ///< with a violation
};

/// Payloads of messages are neither looked at nor unmasked; headers are checked as they are by whoever reads
/// messages. `kRole` is that of those to whom the stream goes. [one thread]
template <Role kRole>
class FrameFollower {
public:
    /// Bytes that may be needed to tell what they are: a control frame is told when it is whole.
    static constexpr std::size_t kMaxIncomplete = kMaxHeader<kRole> + kMaxControlPayload;

    /// `compressible`: permessage-deflate was negotiated. Then the sizes are those of what is compressed.
    explicit FrameFollower(bool compressible) noexcept : message_{.compressible = compressible} {}

    /// Looks at what follows behind all pieces so far. What was incomplete comes again, with more behind it.
    [[nodiscard]] FollowedPiece next(std::span<const std::uint8_t> bytes,
                                     const ReaderLimits& limits) noexcept;

    /// The last piece was the last one of its frame.
    [[nodiscard]] bool at_boundary() const noexcept { return payload_left_ == 0; }

private:
    MessageProgress message_;
    std::uint64_t payload_left_ = 0;  ///< of the frame whose header was the last one
};

}  // namespace websocket::protocol
