// SPDX-License-Identifier: Apache-2.0
// For how long other hosts are believed to be there, in memory that all processes of this host share.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "shm/process_slots.hpp"

namespace websocket::hub {

/// A handle on slots, each of which stands for another host until a time that is moved on as long as that host is heard. One
/// process, the bridge, takes and renews them; when it is killed, the next one goes on with them, and if there is none, they
/// end by themselves, as all processes look after them. All functions: [any thread] of any process, unless they say more.
class HostLeases {
public:
    using Claim = shm::ProcessSlots::Claim;
    using Time = std::chrono::steady_clock::time_point;
    static constexpr std::uint32_t kMost = 256;

    /// A multiple of a cache line.
    [[nodiscard]] static constexpr std::size_t bytes() noexcept {
        return shm::ProcessSlots::bytes(kMost) + kMost * sizeof(Lease);
    }

    HostLeases() noexcept = default;
    /// In `memory`, which begins a cache line; zeros are no leases.
    explicit HostLeases(char* memory) noexcept
        : slots_(memory, kMost),
          leases_(reinterpret_cast<Lease*>(memory + shm::ProcessSlots::bytes(kMost))) {}

    /// The lease of this host, which is not 0: the one that there is, perhaps of an earlier bridge, or a new one. Nothing
    /// when there are kMost. [bridge]
    [[nodiscard]] std::optional<Claim> take(std::uint64_t host, Time until) const noexcept;
    /// False when it has ended, and perhaps begun anew for somebody else. [bridge]
    [[nodiscard]] bool renew(const Claim& claim, Time until) const noexcept;
    /// Does nothing when it has ended.
    void end(const Claim& claim) const noexcept { end(claim.slot, claim.owner); }
    /// Ends those whose time is over. Whether there were any.
    bool end_overdue(Time now) const noexcept;

    [[nodiscard]] bool lasts(std::uint32_t slot, shm::Owner::Word owner) const noexcept {
        return slots_.owner(slot).word() == owner;
    }

private:
    struct Lease {
        std::atomic<std::uint64_t> host;
        std::atomic<Time::rep> until;  ///< 0: it is being made, or was when the bridge was killed
    };

    bool end(std::uint32_t slot, shm::Owner seen) const noexcept;

    shm::ProcessSlots slots_;
    Lease* leases_ = nullptr;
};

}  // namespace websocket::hub
