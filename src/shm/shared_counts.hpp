// SPDX-License-Identifier: Apache-2.0
// How many connections of a kind all processes of a server have, together, in memory they share.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "shm/per_process.hpp"

namespace websocket::shm {

/// What is counted together: within `space` (a cap), everything with the same `value` (an address).
struct CountKey {
    std::uint64_t space;
    std::uint64_t value;
};

/// Each process counts in a table of its own; the sum over all tables is what they have together.
///
/// Keys are hashed with a secret and 40 bits of the hash are kept, so two keys may once in a million
/// million cases be counted as one. An entry is free when its count is 0. Made by the parent; its
/// forked children use it.
class SharedCounts {
public:
    /// One connection, counted; given back when this is destroyed. Empty when nothing was counted.
    class Lease {
    public:
        Lease() noexcept = default;
        Lease(Lease&& other) noexcept : entry_(std::exchange(other.entry_, nullptr)) {}
        Lease& operator=(Lease&& other) noexcept {
            std::swap(entry_, other.entry_);
            return *this;
        }
        ~Lease() {
            if (entry_ != nullptr) {
                entry_->fetch_sub(1);
            }
        }
        [[nodiscard]] explicit operator bool() const noexcept { return entry_ != nullptr; }

    private:
        friend class SharedCounts;
        explicit Lease(std::atomic<std::uint64_t>* entry) noexcept : entry_(entry) {}
        std::atomic<std::uint64_t>* entry_ = nullptr;
    };

    static constexpr std::size_t kMemory = std::size_t{64} << 20;  ///< for all tables, roughly
    static constexpr std::uint32_t kMaxEntries = 1U << 18;
    static constexpr std::uint32_t kMinEntries = 1U << 10;

    /// For so many processes at a time; `entries` keys each, or as many as fit kMemory. Memory is
    /// used as far as it is touched. Throws std::system_error.
    explicit SharedCounts(std::uint32_t processes, std::uint32_t entries = 0);

    /// Counts one more, unless `most` are there already: then nothing. An empty lease when this
    /// process counts more different keys than its table holds: what cannot be counted is let in.
    /// [any thread]
    [[nodiscard]] std::optional<Lease> take(CountKey key, std::uint32_t most) noexcept;

    /// What all processes have now. [any thread]
    [[nodiscard]] std::uint64_t total(CountKey key) const noexcept;

    /// The tables, one for each process.
    [[nodiscard]] PerProcess& tables() noexcept { return tables_; }

    /// Entries a process.
    [[nodiscard]] std::uint32_t entries() const noexcept { return entries_; }

private:
    using Entry = std::atomic<std::uint64_t>;  // 63..24 tag | 23..0 count
    static_assert(Entry::is_always_lock_free);
    static constexpr unsigned kCountBits = 24;
    static constexpr std::uint64_t kCountMask = (std::uint64_t{1} << kCountBits) - 1;
    static constexpr std::uint32_t kBucket = 8;  // entries; one line of the cache

    /// Where a key may stand.
    struct Spot {
        std::uint64_t tag;
        std::uint32_t first;  // entry that begins a bucket
        std::uint32_t second;
    };
    [[nodiscard]] Spot spot_of(CountKey key) const noexcept;
    [[nodiscard]] static Entry* add(Entry* table, const Spot& spot) noexcept;
    [[nodiscard]] static std::uint64_t count(const Entry* table, const Spot& spot) noexcept;

    const std::uint32_t entries_;
    const std::uint64_t secret_;
    PerProcess tables_;
};

}  // namespace websocket::shm
