// SPDX-License-Identifier: Apache-2.0
// Compressing messages as RFC 7692 section 7.2.1 wants them. libdeflate would take half the time for
// whole messages, but it ends them with a final block. The RFC allows that, and yet clients fail on it:
// Boost.Beast, for one. Inflating with it would save a tenth of an echo of 16 KiB and accept streams that
// zlib calls corrupt.
#pragma once

#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/byte_buffer.hpp"
#include "protocol/deflate_settings.hpp"
#include "protocol/zlib_memory.hpp"

namespace websocket::protocol {

/// What a compressor looks like. It takes about 2^(window_bits + 2) + 2^(memory_level + 9) + 6 Ki
/// bytes.
struct DeflaterShape {
    std::uint8_t window_bits;   ///< 9 to 15
    std::uint8_t level;         ///< 1 to 9
    std::uint8_t memory_level;  ///< 1 to 9

    bool operator==(const DeflaterShape&) const = default;
};

[[nodiscard]] constexpr DeflaterShape shape_of(const DeflateSettings& settings) noexcept {
    return {settings.server_bits, settings.level, settings.memory_level};
}

/// One compressed stream. [one thread at a time]
class Deflater {
public:
    static constexpr std::size_t kNoLimit = SIZE_MAX;

    /// Throws std::bad_alloc.
    explicit Deflater(const DeflaterShape& shape);
    ~Deflater();
    Deflater(const Deflater&) = delete;
    Deflater& operator=(const Deflater&) = delete;

    [[nodiscard]] const DeflaterShape& shape() const noexcept { return shape_; }

    /// Appends the compressed form of `part`, which is not empty, to `out`; with `last` the message
    /// ends. A peer that has all parts so far can inflate all of them. False when that would be
    /// `limit` bytes or more: then `out` holds nothing of use, and reset() is due.
    /// Throws std::bad_alloc, and then reset() is due, too.
    [[nodiscard]] bool deflate(std::span<const std::uint8_t> part, bool last, base::ByteBuffer& out,
                               std::size_t limit = kNoLimit);

    /// Forgets what was compressed: what follows does not refer to it.
    void reset() noexcept;

private:
    DeflaterShape shape_;
    ZlibMemory memory_;
    z_stream stream_;
};

}  // namespace websocket::protocol
