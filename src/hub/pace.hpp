// SPDX-License-Identifier: Apache-2.0
// What may be said in the log again and again, but not always.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace websocket::hub {

/// Says yes at most once in a kInterval, to one of all threads. [any thread]
class Pace {
public:
    static constexpr std::chrono::milliseconds kInterval{1000};

    [[nodiscard]] bool permits() noexcept {
        const auto since = std::chrono::steady_clock::now().time_since_epoch();
        const std::int64_t now =
            std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
        std::int64_t next = next_.load(std::memory_order_relaxed);
        return now >= next && next_.compare_exchange_strong(next, now + kInterval.count());
    }

private:
    std::atomic<std::int64_t> next_{0};  // of the steady clock, in milliseconds
};

}  // namespace websocket::hub
