// SPDX-License-Identifier: Apache-2.0
#include "hub/host_leases.hpp"

namespace websocket::hub {

using shm::Owner;

std::optional<HostLeases::Claim> HostLeases::take(std::uint64_t host, Time until) const noexcept {
    for (std::uint32_t slot = 0; slot < slots_.used(); ++slot) {
        const Owner owner = slots_.owner(slot);
        if (!owner.is_claimed()) {
            continue;
        }
        const Claim known{slot, owner};
        if (leases_[slot].until.load() == 0) {
            end(known);
        } else if (leases_[slot].host.load() == host && renew(known, until)) {
            return known;
        }
    }
    const auto made = slots_.claim();
    if (!made) {
        return {};
    }
    leases_[made->slot].host.store(host);
    // Others may have ended it, if what the slot had before looked like a time that is over.
    return renew(*made, until) ? made : std::nullopt;
}

bool HostLeases::renew(const Claim& claim, Time until) const noexcept {
    leases_[claim.slot].until.store(until.time_since_epoch().count());
    return slots_.owner(claim.slot) == claim.owner;
}

bool HostLeases::end(std::uint32_t slot, Owner seen) const noexcept {
    return slots_.reap(slot, seen, [this](std::uint32_t freed) {
        leases_[freed].host.store(0);
        leases_[freed].until.store(0);
    });
}

bool HostLeases::end_overdue(Time now) const noexcept {
    bool any = false;
    for (std::uint32_t slot = 0; slot < slots_.used(); ++slot) {
        const Owner seen = slots_.owner(slot);
        const Time::rep until = leases_[slot].until.load();
        const bool over = seen.is_claimed() && until != 0 && until < now.time_since_epoch().count();
        // Somebody may have been killed while it ended a lease.
        const bool half_ended = !seen.is_claimed() && seen.process() != 0 && seen.is_gone();
        if (over || half_ended) {
            any = end(slot, seen) || any;
        }
    }
    return any;
}

}  // namespace websocket::hub
