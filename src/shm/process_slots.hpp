// SPDX-License-Identifier: Apache-2.0
// The table of slots in memory that processes share: who has which.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "shm/owner.hpp"

namespace websocket::shm {

/// A handle on a table; what belongs to the slots lies elsewhere. A slot is one word, which changes at
/// once from one owner to the next, so there are no locks between processes: one that is killed at
/// any moment leaves at worst slots that name it. They are reaped by the parent, which learns of the
/// end, or by whoever finds that the owner is gone. A process may have several slots.
/// All functions: [any thread] of any process.
class ProcessSlots {
public:
    /// A slot that the calling process has, until it is released or reaped.
    struct Claim {
        std::uint32_t slot;
        Owner owner;
    };

    /// How much memory a table takes; a multiple of a cache line.
    [[nodiscard]] static constexpr std::size_t bytes(std::uint32_t slots) noexcept {
        return (sizeof(Table) + slots * sizeof(Word) + sizeof(Table) - 1) / sizeof(Table) *
               sizeof(Table);
    }

    /// No slots.
    ProcessSlots() noexcept = default;
    /// The table in `memory`, which begins a cache line; zeros are one whose slots are all free.
    ProcessSlots(void* memory, std::uint32_t slots) noexcept
        : table_(static_cast<Table*>(memory)), slots_(slots) {}

    [[nodiscard]] std::uint32_t count() const noexcept { return slots_; }
    /// Slots that were ever claimed have smaller numbers.
    [[nodiscard]] std::uint32_t used() const noexcept {
        return slots_ != 0 ? table_->used.load() : 0;
    }
    [[nodiscard]] Owner owner(std::uint32_t slot) const noexcept {
        return Owner(word(slot).load());
    }

    /// The first free slot; nothing when there is none.
    [[nodiscard]] std::optional<Claim> claim() const noexcept { return claim(Owner::self()); }
    [[nodiscard]] std::optional<Claim> claim(Owner who) const noexcept;
    /// Does nothing when the slot was reaped.
    void release(const Claim& claim) const noexcept;
    /// The slot will never be free again, and nobody owns it: what belongs to it is complete.
    void keep(const Claim& claim) const noexcept;

    /// Frees a slot whose owner is gone, after `tidy(std::uint32_t slot)`, during which nobody else
    /// has it. False, and nothing was done, when it has another owner than `seen` by now.
    template <class Tidy>
    bool reap(std::uint32_t slot, Owner seen, Tidy tidy) const noexcept {
        const Owner reaper = seen.reaped_by(Owner::self());
        if (!replace(slot, seen, reaper)) {
            return false;
        }
        tidy(slot);
        return replace(slot, reaper, reaper.freed());
    }
    /// The same for all slots of a process that has ended, whoever has its number now.
    template <class Tidy>
    void reap(pid_t ended, Tidy tidy) const noexcept {
        reap_if([ended](Owner owner) { return owner.process() == ended; }, tidy);
    }
    /// The same for all slots of all processes that have ended.
    template <class Tidy>
    void reap_ended(Tidy tidy) const noexcept {
        reap_if([](Owner owner) { return owner.is_gone(); }, tidy);
    }
    /// The same for all that have an owner of whom `condition(Owner)` holds, which is then gone.
    template <class Condition, class Tidy>
    void reap_if(Condition condition, Tidy tidy) const noexcept {
        for (std::uint32_t slot = 0; slot < used(); ++slot) {
            const Owner seen = owner(slot);
            if (seen.process() != 0 && condition(seen)) {
                reap(slot, seen, tidy);
            }
        }
    }

private:
    using Word = std::atomic<Owner::Word>;
    static_assert(Word::is_always_lock_free, "it is shared between processes");
    struct alignas(64) Table {  // words of slots follow
        std::atomic<std::uint32_t> used;
    };

    bool replace(std::uint32_t slot, Owner now, Owner next) const noexcept;
    [[nodiscard]] Word& word(std::uint32_t slot) const noexcept {
        return reinterpret_cast<Word*>(table_ + 1)[slot];
    }

    Table* table_ = nullptr;
    std::uint32_t slots_ = 0;
};

}  // namespace websocket::shm
