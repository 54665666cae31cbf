// SPDX-License-Identifier: Apache-2.0
// Publications that somebody did not get: counted, and said in the log at most once a second.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/log.hpp"
#include "base/log_throttle.hpp"
#include "hub/limit_names.hpp"
#include "hub/topic_counts.hpp"

namespace websocket::hub {

/// Who or what was in the way.
enum class Drop : std::uint8_t {
    slow_subscriber,  ///< its send_buffer was full
    busy_loop,        ///< too much waits for an event loop of this process
    busy_process,     ///< too much waits for another process
    no_resources,     ///< no memory, descriptor or thread, or the other process was not reachable
};
constexpr std::size_t kLosses = 4;

/// [any thread]
class Drops {
public:
    /// Counts in `shown` as well, if any.
    explicit Drops(base::Log& log, TopicCounts* shown = nullptr,
                   const LimitNames& names = {}) noexcept
        : log_(log), shown_(shown), names_(names) {}

    /// True when there will be something to report() that has not been logged now.
    bool count(Drop why, std::size_t messages = 1) noexcept;

    /// Logs what has been counted since the last line, where that is long enough ago. True when
    /// something remains.
    bool report() noexcept;

    [[nodiscard]] std::uint64_t total(Drop why) const noexcept {
        return counters_[static_cast<std::size_t>(why)].total.load(std::memory_order_relaxed);
    }

private:
    struct Counter {
        std::atomic<std::uint64_t> total{0};
        std::atomic<std::uint64_t> reported{0};  ///< of the total
        base::LogThrottle line;
    };
    [[nodiscard]] bool report(Drop why) noexcept;

    base::Log& log_;
    TopicCounts* const shown_;
    const LimitNames names_;
    std::array<Counter, kLosses> counters_;
};

}  // namespace websocket::hub
