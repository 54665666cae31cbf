// SPDX-License-Identifier: Apache-2.0
// How a compressor of zlib's kind is made to write all that it has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/byte_buffer.hpp"
#include "protocol/deflate_settings.hpp"

namespace websocket::protocol {

/// Appends what `stream`, a z_stream or one with its members, makes of `part` to `out`: `flush()` runs it, with a sync
/// flush. Everything else is as in Deflater::deflate(). `bound` is what the part may become at most, `more` what
/// the end may add to that. Throws std::bad_alloc.
template <class Stream, class Flush>
[[nodiscard]] bool flush_all(Stream& stream, std::span<const std::uint8_t> part, bool last,
                             base::ByteBuffer& out, std::size_t limit, std::size_t bound,
                             std::size_t more, Flush flush) {
    const bool limited = limit != SIZE_MAX;
    std::size_t room = limited ? limit + kFlushTail.size() : bound + more;
    stream.next_in = const_cast<std::uint8_t*>(part.data());  // nobody writes there
    stream.avail_in = static_cast<unsigned>(part.size());
    // Only when room is left, the compressor has written all that there is, and one flush marker.
    do {
        const std::span<std::uint8_t> into = out.space(room).first(room);
        stream.next_out = into.data();
        stream.avail_out = static_cast<unsigned>(into.size());
        flush();
        out.commit(into.size() - stream.avail_out);
        if (stream.avail_out == 0 && limited) {
            return false;
        }
        room = more;
    } while (stream.avail_out == 0);
    if (last) {
        out.drop_back(kFlushTail.size());
    }
    return true;
}

}  // namespace websocket::protocol
