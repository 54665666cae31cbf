// SPDX-License-Identifier: Apache-2.0
#include "protocol/deflater.hpp"

#include <algorithm>
#include <new>

namespace websocket::protocol {

namespace {

/// What a flush ends with and RFC 7692 section 7.2.1 removes: 00 00 ff ff.
/// What zlib takes; the rest of its state has less than 6 KiB.
constexpr std::size_t memory_of(const DeflaterShape& shape) noexcept {
    return (std::size_t{4} << shape.window_bits) + (std::size_t{512} << shape.memory_level) +
           (6U << 10);
}
/// More than a flush adds to what deflateBound() promises.
constexpr std::size_t kFlushRoom = 64;

}  // namespace

Deflater::Deflater(const DeflaterShape& shape)
    : shape_(shape), memory_(memory_of(shape)), stream_(memory_.make_stream()) {
    // Raw streams have negative window bits. Arguments that zlib does not know cannot come here.
    if (deflateInit2(&stream_, shape.level, Z_DEFLATED, -int{shape.window_bits}, shape.memory_level,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        throw std::bad_alloc();
    }
}

Deflater::~Deflater() { deflateEnd(&stream_); }

bool Deflater::deflate(std::span<const std::uint8_t> part, bool last, base::ByteBuffer& out,
                       std::size_t limit) {
    const bool limited = limit != kNoLimit;
    std::size_t room =
        limited ? limit + kFlushTail.size() : deflateBound(&stream_, part.size()) + kFlushRoom;
    stream_.next_in = const_cast<std::uint8_t*>(part.data());  // zlib does not write there
    stream_.avail_in = static_cast<unsigned>(part.size());
    // Only when room is left, zlib has written all that there is, and one flush marker.
    do {
        const std::span<std::uint8_t> into = out.space(room).first(room);
        stream_.next_out = into.data();
        stream_.avail_out = static_cast<unsigned>(into.size());
        ::deflate(&stream_, Z_SYNC_FLUSH);
        out.commit(into.size() - stream_.avail_out);
        if (stream_.avail_out == 0 && limited) {
            return false;
        }
        room = kFlushRoom;
    } while (stream_.avail_out == 0);
    if (last) {
        out.drop_back(kFlushTail.size());
    }
    return true;
}

void Deflater::reset() noexcept { deflateReset(&stream_); }

}  // namespace websocket::protocol
