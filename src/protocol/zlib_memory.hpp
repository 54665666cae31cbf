// SPDX-License-Identifier: Apache-2.0
// zlib's memory comes from operator new, so that what counts or limits that one sees all.
#pragma once

#include <zlib.h>

#include <cstddef>
#include <cstdint>

namespace websocket::protocol {

/// Memory of one stream: one block, and more blocks only for what does not fit. When it is freed its
/// pages go back to the system at once, which malloc would rarely do between blocks that live on.
/// Outlives the stream. [one thread at a time]
class ZlibMemory {
public:
    /// For so many bytes in all. Throws std::bad_alloc.
    explicit ZlibMemory(std::size_t size);
    ~ZlibMemory();
    ZlibMemory(const ZlibMemory&) = delete;
    ZlibMemory& operator=(const ZlibMemory&) = delete;

    /// A stream without input and output that takes its memory from here.
    [[nodiscard]] z_stream make_stream() noexcept;

private:
    [[nodiscard]] void* take(std::size_t size) noexcept;
    void give_back(void* memory) const noexcept;

    std::uint8_t* const block_;
    const std::size_t size_;
    std::size_t used_ = 0;
};

}  // namespace websocket::protocol
