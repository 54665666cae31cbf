// SPDX-License-Identifier: Apache-2.0
#include "httpd/takeover/pump_places.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <new>

#include "shm/owner.hpp"

namespace websocket::httpd {

namespace {

using Holder = std::atomic<pid_t>;
static_assert(Holder::is_always_lock_free, "it is shared between processes");

struct Mapping {
    void* memory;
    std::size_t size;
};

apr_status_t unmap(void* data) {
    const auto* mapping = static_cast<const Mapping*>(data);
    ::munmap(mapping->memory, mapping->size);
    return APR_SUCCESS;
}

/// A child that crashed could not give its place back.
}  // namespace

PumpPlaces::PumpPlaces(apr_pool_t* pool, std::size_t count, For whom) noexcept {
    if (count == 0) {
        return;
    }
    const std::size_t size = count * sizeof(Holder);
    const int sharing = whom == For::all_children ? MAP_SHARED : MAP_PRIVATE;
    void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return;
    }
    auto* mapping = new (apr_palloc(pool, sizeof(Mapping))) Mapping{memory, size};
    apr_pool_cleanup_register(pool, mapping, unmap, apr_pool_cleanup_null);
    // The kernel's zeros are the free places.
    holders_ = {static_cast<Holder*>(memory), count};
}

std::optional<PumpPlace> PumpPlaces::take() const noexcept {
    const pid_t self = ::getpid();
    for (Holder& holder : holders_) {
        pid_t before = holder.load();
        if ((before == 0 || (before != self && shm::Owner(before, 0).is_gone())) &&
            holder.compare_exchange_strong(before, self)) {
            return PumpPlace(holder);
        }
    }
    return {};
}

}  // namespace websocket::httpd
