// SPDX-License-Identifier: Apache-2.0
#include "engine/heap_trim.hpp"

#include <malloc.h>

namespace websocket::engine {

void keep_freed_memory() noexcept {
#ifdef __GLIBC__
    constexpr int kLargestHeapBlock = 32 << 20;  // the most that glibc allows
    constexpr int kKept = 256 << 20;
    ::mallopt(M_MMAP_THRESHOLD, kLargestHeapBlock);
    ::mallopt(M_TRIM_THRESHOLD, kKept);
#endif
}

void HeapTrim::trim(Tick now) noexcept {
    if (used_) {
        used_ = false;
        last_use_ = now;
        if (!pending_) {
            pending_ = true;
            first_use_ = now;
        }
    }
    if (!pending_ || (before(now, last_use_ + to_ticks(kIdle)) &&
                      before(now, first_use_ + to_ticks(kInterval)))) {
        return;
    }
    pending_ = false;
#ifdef __GLIBC__
    ::malloc_trim(0);
#endif
}

}  // namespace websocket::engine
