// SPDX-License-Identifier: Apache-2.0
#include "httpd/takeover/pump_slots.hpp"

#include <new>
#include <system_error>
#include <utility>

namespace websocket::httpd {

namespace {

constexpr auto kNothingElse = [](std::uint32_t /*slot*/) {};

apr_status_t unmap(void* mapping) {
    static_cast<shm::Mapping*>(mapping)->~Mapping();
    return APR_SUCCESS;
}

}  // namespace

PumpSlots::PumpSlots(apr_pool_t* pool, std::uint32_t count, For whom) noexcept {
    if (count == 0) {
        return;
    }
    std::error_code refused;
    shm::Mapping memory(shm::ProcessSlots::bytes(count), whom, refused);
    if (!memory.valid()) {
        return;
    }
    slots_ = {memory.data(), count};
    auto* kept = new (apr_palloc(pool, sizeof(shm::Mapping))) shm::Mapping(std::move(memory));
    apr_pool_cleanup_register(pool, kept, unmap, apr_pool_cleanup_null);
}

std::optional<PumpSlot> PumpSlots::take() const noexcept {
    auto claim = slots_.claim();
    if (!claim) {
        // Of processes that crashed and whose parent does not tell. While all are taken by others, clients
        // may ask often, so nothing is asked here that takes long.
        slots_.reap_if([](shm::Owner owner) { return owner.is_missing(); }, kNothingElse);
        claim = slots_.claim();
    }
    return claim ? std::optional(PumpSlot(slots_, *claim)) : std::nullopt;
}

void PumpSlots::reap(pid_t child) const noexcept {
    slots_.reap(child, kNothingElse);
    slots_.reap_ended(kNothingElse);
}

}  // namespace websocket::httpd
