// SPDX-License-Identifier: Apache-2.0
// What processes of one host write to each other: a Hello, then a RecordHead, a topic's key, the fields of an
// event, for topics with history a RecordPlace, and a frame for each publication. In the machine's own byte order; see kLayout in registry.cpp.
#pragma once

#include <cstdint>

#include "hub/position.hpp"
#include "hub/registry.hpp"

namespace websocket::hub {

struct Hello {
    Registry::Secret secret;
};

struct RecordHead {
    std::uint32_t frame_size;
    std::uint16_t key_size;
    std::uint16_t fields_size;  ///< see engine::set_event_fields(); 0 for none. With kHasPlace

    static constexpr std::uint16_t kHasPlace = std::uint16_t{1} << 15;
};
static_assert(sizeof(RecordHead) == 8);

/// Without a position, it goes to the bridge, which gets one from the broker.
struct RecordPlace {
    Position position;
    Origin origin;
};
static_assert(sizeof(RecordPlace) == 32);

}  // namespace websocket::hub
