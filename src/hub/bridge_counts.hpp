// SPDX-License-Identifier: Apache-2.0
// What the bridge to other hosts has done, in memory that all processes of a host share.
#pragma once

#include <atomic>
#include <cstdint>

namespace websocket::hub {

/// Zeros at first. Written by the bridge, which is one process at a time. [any thread] of any process.
struct BridgeCounts {
    using Count = std::atomic<std::uint64_t>;
    static_assert(Count::is_always_lock_free, "it lies in memory that processes share");

    Count connected;      ///< 1 while messages are carried
    Count connects;       ///< connections to the broker that became usable
    Count published;      ///< messages that the broker has confirmed
    Count received;       ///< messages of other hosts, or of others who publish there
    Count dropped;        ///< messages from here that were not sent, or of which nobody knows
    Count refused;        ///< messages from the broker that were no good
    Count gaps;           ///< times that messages from other hosts may be missing
    Count queued_bytes;   ///< that wait for the broker
    Count subscriptions;  ///< channels
    Count round_trip_us;  ///< of the last probe through the broker, in microseconds
};

}  // namespace websocket::hub
