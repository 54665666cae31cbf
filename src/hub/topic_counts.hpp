// SPDX-License-Identifier: Apache-2.0
// What a process has of topics, for others to see.
#pragma once

#include <atomic>
#include <cstdint>

namespace websocket::hub {

/// Where it is counted. [any thread]
struct TopicCounts {
    using Count = std::atomic<std::int64_t>;
    static_assert(Count::is_always_lock_free, "it may lie in memory that processes share");

    Count& topics;
    Count& subscriptions;  ///< of connections
    Count& listeners;      ///< of TopicListener
    Count& dropped;        ///< messages that somebody did not get, of whatever Drop; only grows
};

}  // namespace websocket::hub
