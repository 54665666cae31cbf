// SPDX-License-Identifier: Apache-2.0
// Part of websocket_tcp.cpp: how many handshakes wait for a target that does not answer. Each of them holds
// a worker of httpd, and with prefork each of them is in another process; so they are counted in memory that
// all child processes share.
#pragma once

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <new>
#include <string>
#include <utility>

namespace tcp {

/// Places for those that wait, in memory that processes share. A place has the process that took it and whose
/// limit it counts for, so that the places of a process that was killed can be told and taken back.
/// [any thread]
class Places {
public:
    static constexpr std::size_t kCount = 1024;
    using Table = std::array<std::atomic<std::uint64_t>, kCount>;  // 0: free
    static_assert(Table::value_type::is_always_lock_free);

    explicit Places(Table& table) noexcept : table_(&table) {}

    /// A place, or none for which index() is kCount. At most `limit` have the same subject.
    [[nodiscard]] std::size_t take(std::uint32_t subject, unsigned limit) noexcept {
        if (count(subject) >= limit) take_back();
        if (count(subject) >= limit) return kCount;
        const std::uint64_t mine =
            std::uint64_t{subject} << 32 | static_cast<std::uint32_t>(::getpid());
        for (std::size_t i = 0; i < kCount; ++i) {
            std::uint64_t free = 0;
            if (!(*table_)[i].compare_exchange_strong(free, mine)) continue;
            if (count(subject) <= limit) return i;
            give_back(i);  // others were as quick
            return kCount;
        }
        return kCount;
    }
    void give_back(std::size_t place) noexcept { (*table_)[place].store(0); }

    [[nodiscard]] unsigned count(std::uint32_t subject) const noexcept {
        unsigned found = 0;
        for (const auto& place : *table_) {
            const std::uint64_t holder = place.load(std::memory_order_relaxed);
            found += holder != 0 && holder >> 32 == subject ? 1 : 0;
        }
        return found;
    }

    /// One for this object file. Made in the process that reads the configuration, which the children are
    /// forked from.
    [[nodiscard]] static Places& shared() {
        static Places places(map());
        return places;
    }

private:
    [[nodiscard]] static Table& map() {
        void* memory = ::mmap(nullptr, sizeof(Table), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) throw std::bad_alloc();
        static const Unmap unmap{memory};  // when the object file is unloaded
        return *new (memory) Table{};
    }
    struct Unmap {
        void* memory;
        ~Unmap() { ::munmap(memory, sizeof(Table)); }
    };

    /// Frees the places of processes that have ended.
    void take_back() noexcept {
        for (auto& place : *table_) {
            std::uint64_t holder = place.load();
            const auto process = static_cast<pid_t>(static_cast<std::uint32_t>(holder));
            if (holder != 0 && ::kill(process, 0) != 0 && errno == ESRCH) {
                place.compare_exchange_strong(holder, 0);
            }
        }
    }

    Table* table_;
};

/// A place that one handshake may wait in.
class Place {
public:
    Place(Places& places, const std::string& subject, unsigned limit)
        : places_(places), limit_(limit),
          subject_(static_cast<std::uint32_t>(std::hash<std::string>{}(subject))) {}
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place() {
        if (taken()) places_.give_back(index_);
    }

    /// False when there is none.
    [[nodiscard]] bool take() noexcept {
        if (!taken()) index_ = places_.take(subject_, limit_);
        return taken();
    }
    [[nodiscard]] bool taken() const noexcept { return index_ != Places::kCount; }

private:
    Places& places_;
    const unsigned limit_;
    const std::uint32_t subject_;
    std::size_t index_ = Places::kCount;
};

}  // namespace tcp
