// SPDX-License-Identifier: Apache-2.0
#include "protocol/frame_follower.hpp"

#include <algorithm>

#include "protocol/frame_decoding.hpp"

namespace websocket::protocol {

template <Role kRole>
FollowedPiece FrameFollower<kRole>::next(std::span<const std::uint8_t> bytes,
                                         const ReaderLimits& limits) noexcept {
    if (bytes.empty()) {
        return {Piece::incomplete};
    }
    if (payload_left_ > 0) {
        const auto size =
            static_cast<std::size_t>(std::min<std::uint64_t>(payload_left_, bytes.size()));
        payload_left_ -= size;
        return {Piece::payload, size};
    }
    const HeaderResult result =
        message_.compressible ? decode_compressible_frame_header<kRole>(bytes, message_, limits)
                              : decode_frame_header<kRole>(bytes, message_, limits);
    if (result.status == HeaderStatus::violated) {
        return {Piece::violation, 0, {}, result.violation};
    }
    if (result.status == HeaderStatus::incomplete) {
        return {Piece::incomplete};
    }
    const FrameHeader& frame = result.header;
    if (is_control(frame.opcode)) {
        const std::size_t size = frame.size + static_cast<std::size_t>(frame.payload_length);
        return size <= bytes.size() ? FollowedPiece{Piece::control, size, frame}
                                    : FollowedPiece{Piece::incomplete};
    }
    message_.add(frame);
    if (message_.length > limits.max_message_size) {
        return {Piece::violation, 0, {}, {CloseCode::too_big, "message too big"}};  // compressed
    }
    if (frame.fin) {
        message_ = MessageProgress{.compressible = message_.compressible};
    }
    payload_left_ = frame.payload_length;
    return {Piece::header, frame.size, frame};
}

template class FrameFollower<Role::server>;
template class FrameFollower<Role::client>;

}  // namespace websocket::protocol
