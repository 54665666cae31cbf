// SPDX-License-Identifier: Apache-2.0
// The two streams of a tunnel as frames: what is in them, and what is put between them.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/byte_buffer.hpp"
#include "protocol/close_code.hpp"
#include "protocol/frame_follower.hpp"

namespace websocket::engine {

/// What becomes of bytes of a stream.
struct PassedFrames {
    std::span<const iovec> pieces;  ///< to be written, until the stream is used again
    std::uint32_t messages = 0;     ///< whole ones
    std::uint32_t fragments = 0;    ///< frames of messages that are not the last ones of theirs
    std::uint32_t controls = 0;     ///< Pings and Pongs
    std::optional<protocol::Violation> violation;
};

/// Frames on their way to somebody in this role. Control frames are passed on whole. [loop]
template <protocol::Role kTo>
class FrameStream {
public:
    static constexpr std::size_t kMaxPieces = 4;

    explicit FrameStream(bool compressible) noexcept : follower_(compressible) {}

    /// What was held back, which comes first.
    [[nodiscard]] std::span<const std::uint8_t> held() noexcept { return held_.bytes(); }
    /// Follows the stream; `bytes` begin with what was held, and stay until the pieces are written. Throws
    /// std::bad_alloc.
    [[nodiscard]] PassedFrames pass(std::span<const std::uint8_t> bytes,
                                    const protocol::ReaderLimits& limits);

    /// A frame may be put in between now.
    [[nodiscard]] bool at_boundary() const noexcept { return follower_.at_boundary() && !ended(); }
    /// A Close has gone this way.
    [[nodiscard]] bool closed() const noexcept { return closed_; }
    /// What the first Close said that came this way; nothing without one.
    [[nodiscard]] std::optional<std::uint16_t> close_code() const noexcept { return close_code_; }
    /// Nothing more is passed on.
    [[nodiscard]] bool ended() const noexcept { return ended_; }
    /// The same from now on, whatever is under way.
    void end() noexcept { ended_ = true; }

    /// Has this Close put behind the frame that is under way, as the last one. Returns what is to be written
    /// at once, if no frame is under way. Throws std::bad_alloc.
    [[nodiscard]] std::span<const std::uint8_t> close(const protocol::ClosePayload& payload);

    /// A Pong that says the same is not passed on, once.
    void expect_pong(std::span<const std::uint8_t> payload) noexcept { expected_pong_ = payload; }

private:
    class Pieces;
    void note_control(const protocol::FollowedPiece& piece, std::span<const std::uint8_t> bytes,
                      Pieces& pieces, PassedFrames& passed);
    void put_close(Pieces& pieces) noexcept;

    protocol::FrameFollower<kTo> follower_;
    base::ByteBuffer held_;
    base::ByteBuffer close_frame_;
    std::span<const std::uint8_t> expected_pong_;  ///< empty: none
    std::array<iovec, kMaxPieces> pieces_{};
    std::optional<std::uint16_t> close_code_;
    bool closed_ = false;
    bool ended_ = false;
};

struct TunnelFrames {
    explicit TunnelFrames(bool compressible) noexcept
        : to_backend(compressible), to_client(compressible) {}

    FrameStream<protocol::Role::server> to_backend;
    FrameStream<protocol::Role::client> to_client;
};

}  // namespace websocket::engine
