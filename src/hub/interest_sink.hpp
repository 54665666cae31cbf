// SPDX-License-Identifier: Apache-2.0
// What the bridge to other hosts hears from the processes of its own.
#pragma once

#include <cstdint>

#include "hub/topic_key.hpp"

namespace websocket::hub {

class InterestSink {
public:
    virtual ~InterestSink() = default;
    /// A process has got its first subscriber of the topic, or lost its last one. It may say so again. [bus]
    virtual void on_interest(std::uint64_t link, const TopicKey& key, bool wanted) noexcept = 0;
    /// The process wants nothing any more. The number does not come again. [bus]
    virtual void on_link_gone(std::uint64_t link) noexcept = 0;
};

}  // namespace websocket::hub
