// SPDX-License-Identifier: Apache-2.0
// How many connections a process serves, for others to see.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace websocket::engine {

/// What the categories mean is the affair of whoever says to which a connection belongs. [any thread]
class OpenCounts {
public:
    using Count = std::atomic<std::int64_t>;
    static_assert(Count::is_always_lock_free, "it may lie in memory that processes share");
    static constexpr std::size_t kCategories = 18;

    OpenCounts() noexcept { counts_.fill(&unseen_); }
    OpenCounts(const OpenCounts&) = delete;
    OpenCounts& operator=(const OpenCounts&) = delete;

    /// Where a category is counted; before the first connection, and it outlives the last one.
    void count_at(std::size_t category, Count& where) noexcept { counts_.at(category) = &where; }

    void opened(std::uint8_t category) noexcept {
        counts_.at(category)->fetch_add(1, std::memory_order_relaxed);
    }
    void closed(std::uint8_t category) noexcept {
        counts_.at(category)->fetch_sub(1, std::memory_order_relaxed);
    }

private:
    Count unseen_{0};
    std::array<Count*, kCategories> counts_{};
};

}  // namespace websocket::engine
