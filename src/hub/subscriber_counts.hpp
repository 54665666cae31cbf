// SPDX-License-Identifier: Apache-2.0
// How many subscribers a process has of each topic, for other processes to see.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace websocket::hub {

/// A handle on the memory in which one process counts. There are no locks: each count is a word with a part of the
/// topic's hash, in one of kWindow cells that the rest of the hash names, and never moves. Memory is used as far as
/// there are topics. Of more than about 200,000 topics in a process, some find no free cell; they count as none.
class SubscriberCounts {
public:
    using Cell = std::atomic<std::uint64_t>;
    static_assert(Cell::is_always_lock_free && sizeof(Cell) == sizeof(std::uint64_t));

    static constexpr std::size_t kCells = std::size_t{1} << 18;
    static constexpr std::size_t kWindow = 32;
    static constexpr std::uint64_t kMost = (std::uint64_t{1} << 24) - 1;

    /// All zeros: no subscribers.
    explicit SubscriberCounts(std::span<Cell, kCells> cells) noexcept : cells_(cells) {}

    /// For the process that counts here, one call after the other. More than kMost are kMost.
    void set(std::uint64_t hash, std::uint64_t subscribers) const noexcept;
    /// [any thread] of any process.
    [[nodiscard]] std::uint64_t get(std::uint64_t hash) const noexcept;

    /// Forgets all. The memory goes back to the system.
    void clear() const noexcept;

private:
    [[nodiscard]] std::span<Cell, kWindow> window(std::uint64_t hash) const noexcept {
        return cells_.subspan(hash % (kCells - kWindow + 1)).first<kWindow>();
    }

    std::span<Cell, kCells> cells_;
};

}  // namespace websocket::hub
