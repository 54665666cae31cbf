// SPDX-License-Identifier: Apache-2.0
// What the hub has to know about the topics of one location.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace websocket::hub {

/// Never changes.
struct TopicOptions {
    std::string scope = {};      ///< keeps equal names apart: a topic is known by scope and name
    std::size_t max_topics = 0;  ///< TopicQuota::most
    std::uint32_t max_subscriptions = 100;  ///< TopicQuota::most_of_connection

    bool operator==(const TopicOptions&) const = default;
};

}  // namespace websocket::hub
