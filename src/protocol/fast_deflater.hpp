// SPDX-License-Identifier: Apache-2.0
// Compressing with ISA-L (libisal, BSD licence), which does it with wide registers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/byte_buffer.hpp"

namespace websocket::protocol {

/// A Deflater of level 1 for whole messages: it costs three quarters of zlib's at 1 KiB, half at 16 KiB and an
/// eighth at 256 KiB, and makes them a few per cent smaller, but takes 0.4 MiB, too much for one of each connection. The library is loaded at run time, so
/// that nobody has to have it. [one thread at a time]
class FastDeflater {
public:
    /// Null where it is not to be had: without the library, its header when this was built, or AVX2. Refers
    /// back 2^window_bits bytes at most. Throws std::bad_alloc. [any thread]
    [[nodiscard]] static std::unique_ptr<FastDeflater> make(unsigned window_bits);

    FastDeflater(const FastDeflater&) = delete;
    FastDeflater& operator=(const FastDeflater&) = delete;
    ~FastDeflater();

    /// As Deflater::deflate().
    [[nodiscard]] bool deflate(std::span<const std::uint8_t> part, bool last, base::ByteBuffer& out,
                               std::size_t limit);
    /// As Deflater::reset().
    void reset() noexcept;

private:
    struct Stream;
    explicit FastDeflater(std::unique_ptr<Stream> stream) noexcept;

    std::unique_ptr<Stream> stream_;
};

}  // namespace websocket::protocol
