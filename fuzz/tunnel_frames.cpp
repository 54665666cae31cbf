// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the stream of a client on its way through a tunnel: what goes on is the beginning of what came,
// up to the same byte however the bytes are split, and whoever reads it takes it for whole frames.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "engine/tunnel_frames.hpp"

namespace {

using namespace websocket;
using engine::FrameStream;
using engine::PassedFrames;
using protocol::Piece;
using protocol::Role;
using Bytes = std::vector<std::uint8_t>;

constexpr protocol::ReaderLimits kLimits{1000, 10, 3};

void require(bool promise) {
    if (!promise) std::abort();
}

struct Passage {
    Bytes passed;
    std::uint64_t messages = 0;
    bool violated = false;
};

Passage pass(std::span<const std::uint8_t> bytes, std::size_t step, bool compressible) {
    FrameStream<Role::server> stream(compressible);
    Passage all;
    while (!bytes.empty() && !stream.ended() && !all.violated) {
        const auto part = bytes.first(std::min(step, bytes.size()));
        bytes = bytes.subspan(part.size());
        // Exactly as large as what is in it, for the sanitizer.
        Bytes input(stream.held().begin(), stream.held().end());
        input.insert(input.end(), part.begin(), part.end());
        const PassedFrames passed = stream.pass(input, kLimits);
        for (const iovec& piece : passed.pieces) {
            const auto* begin = static_cast<const std::uint8_t*>(piece.iov_base);
            all.passed.insert(all.passed.end(), begin, begin + piece.iov_len);
        }
        all.messages += passed.messages;
        all.violated = passed.violation.has_value();
        require(stream.held().size() <= protocol::FrameFollower<Role::server>::kMaxIncomplete);
    }
    return all;
}

/// Whole frames, but for the payload of the last one.
bool is_readable(std::span<const std::uint8_t> bytes, bool compressible) {
    protocol::FrameFollower<Role::server> follower(compressible);
    while (!bytes.empty()) {
        const auto piece = follower.next(bytes, kLimits);
        if (piece.kind == Piece::incomplete || piece.kind == Piece::violation) return false;
        bytes = bytes.subspan(piece.size);
    }
    return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 1) return 0;
    const std::span<const std::uint8_t> bytes(data + 1, size - 1);
    const bool compressible = (data[0] & 1) != 0;
    const Passage at_once = pass(bytes, std::max<std::size_t>(bytes.size(), 1), compressible);
    const Passage in_steps = pass(bytes, 1 + (data[0] >> 1), compressible);
    require(at_once.passed == in_steps.passed && at_once.messages == in_steps.messages);
    require(at_once.violated == in_steps.violated);
    require(at_once.passed.size() <= bytes.size());
    require(std::equal(at_once.passed.begin(), at_once.passed.end(), bytes.begin()));
    require(is_readable(at_once.passed, compressible));
    return 0;
}
