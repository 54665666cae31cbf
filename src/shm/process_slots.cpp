// SPDX-License-Identifier: Apache-2.0
#include "shm/process_slots.hpp"

namespace websocket::shm {

std::optional<ProcessSlots::Claim> ProcessSlots::claim(Owner who) const noexcept {
    for (std::uint32_t slot = 0; slot < slots_; ++slot) {
        const Owner before = owner(slot);
        if (!before.is_free()) {
            continue;
        }
        // First of all: no slot may have an owner beyond what is looked at by those who reap.
        std::uint32_t used = table_->used.load();
        while (used <= slot && !table_->used.compare_exchange_weak(used, slot + 1)) {
        }
        const Owner owner = before.claimed_by(who);
        if (replace(slot, before, owner)) {
            return Claim{slot, owner};
        }
    }
    return {};
}

void ProcessSlots::release(const Claim& claim) const noexcept {
    replace(claim.slot, claim.owner, claim.owner.freed());
}

void ProcessSlots::keep(const Claim& claim) const noexcept {
    replace(claim.slot, claim.owner, claim.owner.kept());
}

bool ProcessSlots::replace(std::uint32_t slot, Owner now, Owner next) const noexcept {
    Owner::Word expected = now.word();
    return word(slot).compare_exchange_strong(expected, next.word());
}

}  // namespace websocket::shm
