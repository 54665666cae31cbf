// SPDX-License-Identifier: Apache-2.0
// How long the callbacks of a location take.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace websocket::plugin {

/// A moving average, of the time that passes: a thread that waits for the processor looks slow, too. [any thread]
class Pace {
public:
    using Nanoseconds = std::chrono::nanoseconds;

    /// Callbacks that take less than this on the average, and hardly ever wait, are brief.
    static constexpr Nanoseconds kBrief{20'000};

    /// Not before some fifty have shown it.
    [[nodiscard]] bool brief() const noexcept {
        return average_.load(std::memory_order_relaxed) < kBrief.count();
    }

    /// So many callbacks took so long, one after the other, with `bytes` of messages.
    void note(Nanoseconds took, std::size_t callbacks, std::size_t bytes) noexcept {
        const std::int64_t all =
            took.count() - static_cast<std::int64_t>(bytes / kBytesANanosecond);
        const auto one = std::max<std::int64_t>(all, 0) / static_cast<std::int64_t>(callbacks);
        // One that waits counts as much in the middle of others.
        const std::int64_t sample = all >= kLong.count() ? kLong.count() : one;
        const std::int64_t average = average_.load(std::memory_order_relaxed);
        const std::int64_t change = (sample - average) / kMemory;
        // Several threads write this, so seldom, and one that another one overwrites is no matter.
        if (std::abs(change) >= kLeastChange) {
            average_.store(average + change, std::memory_order_relaxed);
        }
    }

private:
    /// What copies a large message takes about as long as the loop itself, which reads and writes it.
    static constexpr std::size_t kBytesANanosecond = 1;
    /// With one in a hundred that takes this long or longer, callbacks that take no time else are not brief.
    static constexpr Nanoseconds kLong{2'000'000};
    static constexpr std::int64_t kMemory = 64;  // callbacks
    static constexpr std::int64_t kLeastChange = 25;

    std::atomic<std::int64_t> average_{2 * kBrief.count()};
};

}  // namespace websocket::plugin
