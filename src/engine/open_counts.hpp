// SPDX-License-Identifier: Apache-2.0
// How many connections a process serves, for others to see.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace websocket::engine {

/// Zeros are a valid one, so it may lie in memory that processes share. What the categories mean is
/// the affair of whoever says to which a connection belongs. [any thread]
class OpenCounts {
public:
    static constexpr std::size_t kCategories = 16;

    void opened(std::uint8_t category) noexcept {
        counts_.at(category).fetch_add(1, std::memory_order_relaxed);
    }
    void closed(std::uint8_t category) noexcept {
        counts_.at(category).fetch_sub(1, std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint32_t open(std::size_t category) const noexcept {
        return counts_.at(category).load(std::memory_order_relaxed);
    }

private:
    using Count = std::atomic<std::uint32_t>;
    static_assert(Count::is_always_lock_free);
    std::array<Count, kCategories> counts_{};
};

}  // namespace websocket::engine
