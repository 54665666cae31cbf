// SPDX-License-Identifier: Apache-2.0
#include "engine/tunnel_frames.hpp"

#include <algorithm>

#include "base/iovec.hpp"
#include "protocol/client_frame_writer.hpp"
#include "protocol/frame.hpp"
#include "protocol/masking.hpp"

namespace websocket::engine {

using protocol::FollowedPiece;
using protocol::Opcode;
using protocol::Piece;
using protocol::Role;

namespace {

using ControlPayload = std::array<std::uint8_t, protocol::kMaxControlPayload>;

/// The payload of a whole control frame, unmasked into `buffer`.
std::span<const std::uint8_t> payload_of(const FollowedPiece& control,
                                         std::span<const std::uint8_t> bytes,
                                         ControlPayload& buffer) noexcept {
    const auto payload = bytes.subspan(control.frame.size, control.size - control.frame.size);
    std::copy(payload.begin(), payload.end(), buffer.begin());
    const std::span<std::uint8_t> unmasked(buffer.data(), payload.size());
    protocol::mask(unmasked, control.frame.mask);  // the key of a server's frame is zero
    return unmasked;
}

/// Each frame of a client has a key of its own (RFC 6455 section 5.3).
template <Role kTo>
base::ByteBuffer encode_close(std::span<const std::uint8_t> payload) {
    base::ByteBuffer frame;
    if constexpr (kTo == Role::client) {
        frame.append(protocol::EncodedHeader(Opcode::close, payload.size()).bytes());
        frame.append(payload);
    } else {
        protocol::MaskKey key{};
        protocol::fill_randomly(key);
        frame.append(protocol::EncodedHeader(key, Opcode::close, payload.size()).bytes());
        const std::size_t header = frame.size();
        frame.append(payload);
        protocol::mask(frame.bytes().subspan(header), key);
    }
    return frame;
}

}  // namespace

/// Runs of bytes; what lies together is one piece.
template <Role kTo>
class FrameStream<kTo>::Pieces {
public:
    explicit Pieces(std::array<iovec, kMaxPieces>& into) noexcept : into_(into) {}

    void add(std::span<const std::uint8_t> bytes) noexcept {
        if (count_ > 0 && end_of(into_.at(count_ - 1)) == bytes.data()) {
            into_.at(count_ - 1).iov_len += bytes.size();
        } else {
            into_.at(count_++) = base::to_iovec(bytes);
        }
    }
    [[nodiscard]] std::span<const iovec> all() const noexcept { return {into_.data(), count_}; }

private:
    static std::uint8_t* end_of(const iovec& piece) noexcept {
        return static_cast<std::uint8_t*>(piece.iov_base) + piece.iov_len;
    }

    std::array<iovec, kMaxPieces>& into_;
    std::size_t count_ = 0;
};

template <Role kTo>
PassedFrames FrameStream<kTo>::pass(std::span<const std::uint8_t> bytes,
                                    const protocol::ReaderLimits& limits) {
    PassedFrames passed;
    Pieces pieces(pieces_);
    while (!ended_) {
        if (follower_.at_boundary() && !close_frame_.empty()) {
            put_close(pieces);
            break;
        }
        const FollowedPiece piece = follower_.next(bytes, limits);
        if (piece.kind == Piece::incomplete) {
            break;
        }
        if (piece.kind == Piece::violation) {
            passed.violation = piece.violation;
            bytes = {};
            break;
        }
        if (piece.kind == Piece::control) {
            note_control(piece, bytes, pieces, passed);
        } else {
            pieces.add(bytes.first(piece.size));
        }
        if (piece.kind == Piece::header) {
            ++(piece.frame.fin ? passed.messages : passed.fragments);
        }
        bytes = bytes.subspan(piece.size);
    }
    base::ByteBuffer rest;
    if (!ended_ && !bytes.empty()) {
        rest.append(bytes);
    }
    held_ = std::move(rest);
    passed.pieces = pieces.all();
    return passed;
}

template <Role kTo>
void FrameStream<kTo>::note_control(const FollowedPiece& piece, std::span<const std::uint8_t> bytes,
                                    Pieces& pieces, PassedFrames& passed) {
    ControlPayload buffer;
    const auto payload = payload_of(piece, bytes, buffer);
    if (piece.frame.opcode == Opcode::pong && !expected_pong_.empty() &&
        std::ranges::equal(payload, expected_pong_)) {
        expected_pong_ = {};
        return;
    }
    pieces.add(bytes.first(piece.size));
    if (piece.frame.opcode != Opcode::close) {
        ++passed.controls;
        return;
    }
    // Nothing may follow it (RFC 6455 section 5.5.1).
    constexpr auto kNone = static_cast<std::uint16_t>(protocol::CloseCode::no_status);
    close_code_ = payload.size() >= 2 ? protocol::close_code_of(payload) : kNone;
    closed_ = true;
    ended_ = true;
}

template <Role kTo>
void FrameStream<kTo>::put_close(Pieces& pieces) noexcept {
    pieces.add(close_frame_.bytes());
    closed_ = true;
    ended_ = true;
}

template <Role kTo>
std::span<const std::uint8_t> FrameStream<kTo>::close(const protocol::ClosePayload& payload) {
    if (ended_ || !close_frame_.empty()) {
        return {};
    }
    close_frame_ = encode_close<kTo>(payload.bytes());
    if (!follower_.at_boundary()) {
        return {};
    }
    closed_ = true;
    ended_ = true;
    return close_frame_.bytes();
}

template class FrameStream<Role::server>;
template class FrameStream<Role::client>;

}  // namespace websocket::engine
