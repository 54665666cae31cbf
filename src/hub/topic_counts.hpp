// SPDX-License-Identifier: Apache-2.0
// What a process has of topics, for others to see.
#pragma once

#include <atomic>
#include <cstdint>

namespace websocket::hub {

/// Zeros are a valid one, so it may lie in memory that processes share. [any thread]
struct TopicCounts {
    using Count = std::atomic<std::uint64_t>;
    static_assert(Count::is_always_lock_free);

    Count topics{0};
    Count subscriptions{0};  ///< of connections
    Count listeners{0};      ///< of plugins
    Count dropped{0};        ///< messages that somebody did not get, of whatever Loss; only grows
};

}  // namespace websocket::hub
