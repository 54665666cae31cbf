// SPDX-License-Identifier: Apache-2.0
// How many connections may hold a thread of httpd, so that enough are left for ordinary requests.
#pragma once

#include <apr_pools.h>

#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "shm/mapping.hpp"
#include "shm/process_slots.hpp"

namespace websocket::httpd {

/// Permission to hold a thread, for as long as it lives. [any thread]
class PumpSlot {
public:
    PumpSlot(shm::ProcessSlots slots, const shm::ProcessSlots::Claim& claim) noexcept
        : slots_(slots), claim_(claim) {}
    PumpSlot(PumpSlot&& other) noexcept : slots_(other.slots_), claim_(other.claim_) {
        other.claim_.reset();
    }
    PumpSlot& operator=(PumpSlot&&) = delete;
    ~PumpSlot() {
        if (claim_) {
            slots_.release(*claim_);
        }
    }

private:
    shm::ProcessSlots slots_;
    std::optional<shm::ProcessSlots::Claim> claim_;
};

/// A fixed number of slots, of which a process has one for each connection. Made before the fork: each
/// child has its own, or all share them.
class PumpSlots {
public:
    using For = shm::Mapping::For;

    PumpSlots() noexcept = default;
    /// Lives as long as `pool`; has no slot at all when there is no memory. [config]
    PumpSlots(apr_pool_t* pool, std::uint32_t count, For whom) noexcept;

    /// Empty when all are taken, which those of missing processes are not. [any thread]
    [[nodiscard]] std::optional<PumpSlot> take() const noexcept;

    /// A child has ended, and maybe processes that it had forked. [config]
    void reap(pid_t child) const noexcept;

    [[nodiscard]] std::uint32_t count() const noexcept { return slots_.count(); }

private:
    shm::ProcessSlots slots_;
};

}  // namespace websocket::httpd
