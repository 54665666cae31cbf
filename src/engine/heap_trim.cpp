// SPDX-License-Identifier: Apache-2.0
#include "engine/heap_trim.hpp"

#include <dlfcn.h>
#include <malloc.h>

#include <cstdlib>

namespace websocket::engine {

namespace {

#ifdef __GLIBC__
/// Whether glibc's own allocator serves malloc(), or one that brings a malloc_trim() of its own. Under
/// another (jemalloc, a sanitizer) glibc's may never have been set up, and malloc_trim() of two threads,
/// each of which does that then, is the end of the process.
bool trims_what_malloc_gives() noexcept {
    static const bool same = [] {
        Dl_info allocates{};
        Dl_info trims{};
        return ::dladdr(reinterpret_cast<void*>(&::malloc), &allocates) != 0 &&
               ::dladdr(reinterpret_cast<void*>(&::malloc_trim), &trims) != 0 &&
               allocates.dli_fbase == trims.dli_fbase;
    }();
    return same;
}
#endif

}  // namespace

void keep_freed_memory() noexcept {
#ifdef __GLIBC__
    if (!trims_what_malloc_gives()) return;
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
    if (!pending_ || (net::before(now, last_use_ + to_ticks(kIdle)) &&
                      net::before(now, first_use_ + to_ticks(kInterval)))) {
        return;
    }
    pending_ = false;
#ifdef __GLIBC__
    if (trims_what_malloc_gives()) ::malloc_trim(0);
#endif
}

}  // namespace websocket::engine
