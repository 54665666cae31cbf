// SPDX-License-Identifier: Apache-2.0
// Memory in which each process of a server has a part that it alone writes to, and all read.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "shm/mapping.hpp"
#include "shm/process_slots.hpp"

namespace websocket::shm {

/// A table of slots with a part of the memory for each. Made by the parent, which has none; its forked
/// children use it. A part holds zeros at first, and objects that are usable as such: atomics of
/// integers.
class PerProcess {
public:
    /// For so many processes at a time, with so many bytes each. Memory is used as far as it is
    /// touched. Throws std::system_error.
    PerProcess(std::uint32_t processes, std::size_t bytes);
    PerProcess(const PerProcess&) = delete;
    PerProcess& operator=(const PerProcess&) = delete;

    /// This process's part. When no slot is left, one that nobody else sees; null when there is no
    /// memory for that either. [any thread]
    [[nodiscard]] void* own() noexcept {
        void* part = own_.load();
        return part != nullptr ? part : claim();
    }

    /// False when no slot was left for this process, which then is alone. [any thread]
    [[nodiscard]] bool shares() const noexcept { return !alone_.load(); }

    /// Calls `visit(pid_t, void* part)` for each process that has a slot; a process that is alone sees
    /// its own part only. [any thread]
    template <class Visit>
    void for_each(Visit visit) const {
        if (!shares()) {
            if (void* part = own_.load()) {
                visit(self(), part);
            }
            return;
        }
        for (std::uint32_t slot = 0; slot < slots_.used(); ++slot) {
            if (const Owner owner = slots_.owner(slot); owner.is_claimed()) {
                visit(owner.process(), part(slot));
            }
        }
    }

    /// Calls `visit(void* part)` for all shared parts in which something may stand, whether a process
    /// has them now or not, also in a process that is alone. [any thread]
    template <class Visit>
    void for_each_used(Visit visit) const {
        for (std::uint32_t slot = 0; slot < slots_.used(); ++slot) {
            visit(part(slot));
        }
    }

    /// The process has ended: its slot is free, and the next process finds in the part what
    /// `tidy(void* part)` leaves. [config]
    template <class Tidy>
    void reap(pid_t process, Tidy tidy) noexcept {
        slots_.reap(process, [&](std::uint32_t slot) { tidy(part(slot)); });
    }
    /// The same for all that have ended. [config]
    template <class Tidy>
    void reap_ended(Tidy tidy) noexcept {
        slots_.reap_ended([&](std::uint32_t slot) { tidy(part(slot)); });
    }

    /// The process has ended: its slot is free, and the part is wiped. [config]
    void reap(pid_t process) noexcept;
    /// The same for all that have ended. [config]
    void reap_ended() noexcept;

private:
    [[nodiscard]] static pid_t self() noexcept;
    [[nodiscard]] void* claim() noexcept;
    [[nodiscard]] void* part(std::uint32_t slot) const noexcept {
        return static_cast<char*>(memory_.data()) + offset(slot);
    }
    [[nodiscard]] std::size_t offset(std::uint32_t slot) const noexcept {
        return first_ + slot * stride_;
    }

    const std::size_t stride_;  // from one part to the next
    const std::size_t first_;   // where they begin
    Mapping memory_;
    const ProcessSlots slots_;

    // this process's own
    std::mutex claim_mutex_;  // so that it claims one slot only
    std::atomic<void*> own_{nullptr};
    std::atomic<bool> alone_{false};
    Mapping own_memory_;  // when it is alone
};

}  // namespace websocket::shm
