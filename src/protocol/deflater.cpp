// SPDX-License-Identifier: Apache-2.0
#include "protocol/deflater.hpp"

#include <new>

#include "protocol/flush_all.hpp"

namespace websocket::protocol {

namespace {

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
    const std::size_t bound = limit == kNoLimit ? deflateBound(&stream_, part.size()) : 0;
    return flush_all(stream_, part, last, out, limit, bound, kFlushRoom,
                     [this] { ::deflate(&stream_, Z_SYNC_FLUSH); });
}

void Deflater::reset() noexcept { deflateReset(&stream_); }

}  // namespace websocket::protocol
