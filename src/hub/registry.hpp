// SPDX-License-Identifier: Apache-2.0
// What the processes of one httpd know of each other: which of them listen, and for what.
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/sip_hash.hpp"
#include "hub/bridge_counts.hpp"
#include "hub/subscriber_counts.hpp"
#include "shm/process_slots.hpp"

namespace websocket::hub {

/// A handle on memory that a parent process maps and its children inherit: a slot for each process that
/// listens, with the address of its socket and a bit for each bucket of topics that it wants. There
/// are no locks and no allocation in it; see shm::ProcessSlots for what a process leaves that is killed.
/// All functions: [any thread] of any process, unless they say more.
class Registry {
public:
    /// Topics are told apart by this many numbers: with n topics in a process, about n of 2^18
    /// publications that nobody in it wants reach it all the same.
    static constexpr std::uint32_t kBuckets = 1U << 18;
    /// Known to the processes only.
    using Secret = std::array<std::uint8_t, 16>;

    /// Maps memory for `slots` processes, which stays until the last process with it has ended.
    /// Throws std::system_error. [config]
    [[nodiscard]] static Registry create(std::uint32_t slots);
    /// The registry that an earlier create() has made there, perhaps of another version of this
    /// module; nothing when it cannot be used.
    [[nodiscard]] static std::optional<Registry> at(void* memory, std::uint32_t slots) noexcept;
    /// The registry in a file that another process has from create(); nothing when it is none of this version. The
    /// memory stays until this process ends. Throws std::system_error.
    [[nodiscard]] static std::optional<Registry> open(int file);
    /// The file that it lies in, in the process that made it and those forked from it.
    [[nodiscard]] int file() const noexcept;

    [[nodiscard]] void* memory() const noexcept { return header_; }
    [[nodiscard]] const Secret& secret() const noexcept;
    [[nodiscard]] const base::HashKey& hash_key() const noexcept;
    /// Slots that were ever claimed have smaller numbers.
    [[nodiscard]] std::uint32_t slots_used() const noexcept { return slots_.used(); }

    /// Where the slot's process listens; 0 when none does. No two have ever had the same.
    [[nodiscard]] std::uint64_t address(std::uint32_t slot) const noexcept {
        return address_word(slot).load();
    }
    /// A slot for the calling process, which can be connected to at `address`; nothing when processes
    /// that live have all.
    [[nodiscard]] std::optional<std::uint32_t> claim(std::uint64_t address) noexcept;
    /// Frees the slot if it still has this address: its own process leaves, or is gone.
    void release(std::uint32_t slot, std::uint64_t address) noexcept;

    /// The process has ended: its slots are free, whoever has its number now.
    void reap(pid_t ended) noexcept;
    /// The same for all that have ended.
    void reap_ended() noexcept;

    [[nodiscard]] static std::uint32_t bucket_of(std::uint64_t hash) noexcept {
        return static_cast<std::uint32_t>(hash % kBuckets);
    }
    [[nodiscard]] bool wants(std::uint32_t slot, std::uint32_t bucket) const noexcept;
    /// For the slot's own process.
    void set_wants(std::uint32_t slot, std::uint32_t bucket, bool wanted) noexcept;

    /// The slot's process is the bridge to other hosts from now on: it gets whatever is published, and is told what
    /// others subscribe to. False, and nothing has changed, when there is one already.
    [[nodiscard]] bool set_bridge(std::uint32_t slot) noexcept;
    /// The address of the bridge; 0 when there is none.
    [[nodiscard]] std::uint64_t bridge() const noexcept;
    /// The bridge that has this address puts topics with history in order, for all hosts.
    void set_ordered(std::uint64_t bridge) noexcept;
    /// Whether there is a bridge that does.
    [[nodiscard]] bool is_ordered() const noexcept;
    /// A random number that tells this httpd from all others, as long as it runs.
    [[nodiscard]] std::uint64_t host() const noexcept;
    /// The next of the numbers from 1 on, of all bridges that follow each other.
    [[nodiscard]] std::uint64_t next_number() noexcept;
    /// Up to when, by the broker's clock in milliseconds, this host surely has what was published to topics with
    /// history; 0 before the first time. The bridge's.
    [[nodiscard]] std::atomic<std::uint64_t>& has_all_until() noexcept;
    /// The slot that has this address.
    [[nodiscard]] std::optional<std::uint32_t> slot_at(std::uint64_t address) const noexcept;
    /// What the bridge counts; the same for all that follow each other.
    [[nodiscard]] BridgeCounts& bridge_counts() const noexcept;

    /// Of the slot's process, none when it begins.
    [[nodiscard]] SubscriberCounts subscribers(std::uint32_t slot) const noexcept;

private:
    using Word = std::atomic<std::uint64_t>;
    static_assert(Word::is_always_lock_free && sizeof(Word) == sizeof(std::uint64_t));
    static constexpr std::uint32_t kWordBits = 64;
    static constexpr std::uint32_t kWords = kBuckets / kWordBits;

    struct Header;
    explicit Registry(Header* header) noexcept;
    /// Written after the slot was claimed, and 0 before it is free.
    [[nodiscard]] Word& address_word(std::uint32_t slot) const noexcept { return addresses_[slot]; }
    [[nodiscard]] Word& bits(std::uint32_t slot, std::uint32_t word) const noexcept;
    void forget_address(std::uint32_t slot) noexcept;

    Header* header_;
    shm::ProcessSlots slots_;
    Word* addresses_;  // one for each slot; then the bits of each, then what each counts
    SubscriberCounts::Cell* cells_;
};

}  // namespace websocket::hub
