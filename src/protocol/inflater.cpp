// SPDX-License-Identifier: Apache-2.0
#include "protocol/inflater.hpp"

#include <algorithm>
#include <array>
#include <new>

#include "protocol/deflate_settings.hpp"

namespace websocket::protocol {

namespace {

/// Of z_stream's data_type: bits 0 to 5 count unused bits of the last byte, 6 says that the block
/// is a final one, 7 that the next thing is a block's header.
constexpr int kBoundaryBits = 0xFF;
constexpr int kAtBoundary = 0x80;

constexpr std::size_t kLargestWindow = std::size_t{1} << kMaxWindowBits;

/// Clients whose zlib uses 9 bits when asked for 8 are understood as well.
constexpr unsigned real_bits(unsigned window_bits) noexcept {
    return std::max(window_bits, kMinWindowBits);
}

/// What zlib takes: its state has a little more than 7 KiB.
constexpr std::size_t memory_of(unsigned bits) noexcept {
    return (std::size_t{1} << bits) + (7U << 10) + 128;
}

}  // namespace

Inflater::Inflater(unsigned window_bits)
    : memory_(memory_of(real_bits(window_bits))), stream_(memory_.make_stream()) {
    if (inflateInit2(&stream_, -static_cast<int>(real_bits(window_bits))) != Z_OK) {
        throw std::bad_alloc();
    }
}

Inflater::~Inflater() { inflateEnd(&stream_); }

Inflater::Status Inflater::inflate(std::span<const std::uint8_t>& in,
                                   std::span<std::uint8_t>& out) {
    if (ended_ && in.empty()) {
        return Status::done;
    }
    stream_.next_in = const_cast<std::uint8_t*>(in.data());  // zlib does not write there
    stream_.avail_in = static_cast<unsigned>(in.size());
    stream_.next_out = out.data();
    stream_.avail_out = static_cast<unsigned>(out.size());
    int result = Z_OK;
    do {
        result = ::inflate(&stream_, Z_SYNC_FLUSH);
        ended_ = result == Z_STREAM_END;
        if (ended_) {
            inflateResetKeep(&stream_);  // keeps the window
        }
    } while (ended_ && stream_.avail_in > 0);
    in = in.last(stream_.avail_in);
    out = out.last(stream_.avail_out);
    switch (result) {
        case Z_STREAM_END:
        case Z_OK:
        case Z_BUF_ERROR: return out.empty() ? Status::full : Status::done;
        case Z_MEM_ERROR: throw std::bad_alloc();
        default: return Status::corrupt;
    }
}

bool Inflater::end_message() {
    if (ended_) {
        // RFC 7692 section 7.2.3.4 has an byte of an empty block follow, but some leave it out.
        ended_ = false;
        return true;
    }
    std::span<const std::uint8_t> tail(kFlushTail);
    std::uint8_t nothing = 0;
    std::span<std::uint8_t> out(&nothing, 1);
    return inflate(tail, out) == Status::done && out.size() == 1 &&
           (stream_.data_type & kBoundaryBits) == kAtBoundary;
}

void Inflater::reset() noexcept {
    inflateReset(&stream_);
    ended_ = false;
}

base::ByteBuffer Inflater::history() {
    base::ByteBuffer buffer;
    unsigned size = kLargestWindow;
    inflateGetDictionary(&stream_, nullptr, &size);
    if (size > 0) {
        inflateGetDictionary(&stream_, buffer.space(size).data(), &size);
        buffer.commit(size);
    }
    return buffer;
}

void Inflater::set_history(std::span<const std::uint8_t> history) {
    if (!history.empty() && inflateSetDictionary(&stream_, history.data(),
                                                 static_cast<unsigned>(history.size())) != Z_OK) {
        throw std::bad_alloc();
    }
}

}  // namespace websocket::protocol
