// SPDX-License-Identifier: Apache-2.0
// That messages may be missing: of which topics, and why.
#pragma once

#include <cstdint>
#include <string_view>

#include "hub/topic_key.hpp"

namespace websocket::hub {

/// As in websocket/ext/draft/gap.h.
enum class GapReason : std::uint8_t {
    reconnected = 1,  ///< the connection to the broker is new
    hole,             ///< another host has published more than came here
    host_dropped,     ///< another host could not publish all
    busy,             ///< too much waited on the way between processes of this host
};
[[nodiscard]] constexpr bool is_gap_reason(std::uint8_t value) noexcept {
    return value >= static_cast<std::uint8_t>(GapReason::reconnected) &&
           value <= static_cast<std::uint8_t>(GapReason::busy);
}

/// In place of the TopicKey::bytes() of one topic: all. A topic of one process that no scope has, so it is no other's.
inline constexpr std::string_view kAllTopics{"\0\0", 2};

}  // namespace websocket::hub
