// SPDX-License-Identifier: Apache-2.0
// Memory in which each process of a server has a row that it alone writes to, and all read.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace websocket::shm {

/// Whether there is no such process any more; one of another user is there. [any thread]
[[nodiscard]] bool is_gone(pid_t process) noexcept;

/// A process that is killed anywhere leaves nothing half done, and the parent, which learns of each
/// end, frees its row. There are no locks between processes. Made by the parent, which has no row;
/// its forked children use it. A row holds zeros at first, and objects that are usable as such: atomics of integers.
class ProcessRows {
public:
    /// For so many processes at a time, with so many octets each. Memory is used as far as it is
    /// touched. Throws std::bad_alloc.
    ProcessRows(std::uint32_t processes, std::size_t octets);
    ~ProcessRows();
    ProcessRows(const ProcessRows&) = delete;
    ProcessRows& operator=(const ProcessRows&) = delete;

    /// This process's row. When there is none left, one that nobody else sees; null when there is
    /// no memory for that either. [any thread]
    [[nodiscard]] void* own() noexcept {
        void* row = own_.load();
        return row != nullptr ? row : claim();
    }

    /// False when there was no row left for this process, which then is alone. [any thread]
    [[nodiscard]] bool shares() const noexcept { return !alone_.load(); }

    /// Calls `visit(pid_t, void* row)` for each process that has a row; a process that is alone sees
    /// its own only. [any thread]
    template <class Visit>
    void for_each(Visit visit) const {
        if (!shares()) {
            if (void* row = own_.load()) {
                visit(self(), row);
            }
            return;
        }
        for (std::uint32_t i = 0; i < processes_; ++i) {
            if (const pid_t owner = owners_[i].load(); owner > 0) {
                visit(owner, row(i));
            }
        }
    }

    /// Calls `visit(void* row)` for each shared row that a process has or that one has handed on, also
    /// in a process that is alone. There are zeros in the others. [any thread]
    template <class Visit>
    void for_each_used(Visit visit) const {
        for (std::uint32_t i = 0; i < processes_; ++i) {
            if (owners_[i].load() != kNobody) {
                visit(row(i));
            }
        }
    }

    /// The process has ended: its row is free, and the next process finds there what `tidy(void* row)`
    /// leaves. [config]
    template <class Tidy>
    void hand_on(pid_t process, Tidy tidy) noexcept {
        for (std::uint32_t i = 0; i < processes_; ++i) {
            if (owners_[i].load() == process) {
                tidy(row(i));
                owners_[i].store(kHandedOn);
            }
        }
    }

    /// The process has ended: its row is free, and wiped. [config]
    void forget(pid_t process) noexcept;
    /// The same for all that do not exist any more. [config]
    void forget_ended() noexcept;

private:
    // Instead of the number of a process, when a row is free.
    static constexpr pid_t kNobody = 0;     // it holds zeros
    static constexpr pid_t kHandedOn = -1;  // it holds what hand_on() has left

    [[nodiscard]] static pid_t self() noexcept;
    [[nodiscard]] void* claim() noexcept;
    [[nodiscard]] void* row(std::uint32_t index) const noexcept { return rows_ + index * stride_; }

    const std::uint32_t processes_;
    const std::size_t stride_;  // octets from one row to the next
    void* memory_ = nullptr;
    std::size_t size_ = 0;
    std::atomic<pid_t>* owners_ = nullptr;  // shared
    char* rows_ = nullptr;                  // shared

    // this process's own
    std::mutex claim_mutex_;  // so that it claims one row only
    std::atomic<void*> own_{nullptr};
    std::atomic<bool> alone_{false};
};

}  // namespace websocket::shm
