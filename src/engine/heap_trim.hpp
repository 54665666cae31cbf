// SPDX-License-Identifier: Apache-2.0
// Large messages and the C library's heap: memory stays while there are some, and goes when there are
// none any more.
#pragma once

#include <cstddef>

#include "engine/tick.hpp"

namespace websocket::engine {

/// glibc gives freed memory back to the system at once, and faults it in again for the next message,
/// page by page, which costs up to fifteen times what the message does. From here on the process
/// keeps it: blocks up to 32 MiB come from the heap, and each arena's unused end may have 256 MiB.
/// Does nothing with other C libraries, and where another allocator serves malloc(). [any thread]
void keep_freed_memory() noexcept;

/// Gives back what keep_freed_memory() keeps: once large blocks have not been used for kIdle, and
/// meanwhile every kInterval, so that what stays is what was needed lately. Each loop has one and calls
/// trim() when it is awake, which is at least once a minute. [loop]
class HeapTrim {
public:
    static constexpr std::size_t kLargeBlock = 64U << 10;
    static constexpr std::chrono::milliseconds kIdle{5'000};
    static constexpr std::chrono::milliseconds kInterval{60'000};

    /// A block of this size is in use.
    void note(std::size_t bytes) noexcept { used_ |= bytes >= kLargeBlock; }

    /// May take some milliseconds for each 10 MiB that it gives back. Does nothing where
    /// keep_freed_memory() does nothing.
    void trim(Tick now) noexcept;

private:
    bool used_ = false;     ///< since the last trim()
    bool pending_ = false;  ///< blocks were in use since memory was given back
    Tick last_use_ = 0;
    Tick first_use_ = 0;  ///< since memory was given back
};

}  // namespace websocket::engine
