// SPDX-License-Identifier: Apache-2.0
// What processes of one host write to each other: a Hello, then a RecordHead, a topic's key, the fields of an
// event, for topics with history a RecordPlace, and a frame for each publication. A frame that is no message says something
// of the topic instead: see InterestFeed, and gap_frame(). In the machine's own byte order; see kLayout in registry.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "engine/shared_frame.hpp"
#include "hub/gap.hpp"
#include "hub/position.hpp"
#include "hub/registry.hpp"
#include "protocol/event_encoder.hpp"

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
static_assert(protocol::kMaxEventFields < RecordHead::kHasPlace);

/// Without a position, it goes to the bridge, which gets one from the broker.
struct RecordPlace {
    Position position;
    Origin origin;
};
static_assert(sizeof(RecordPlace) == 32);

/// The head and the key of a record without fields or place. Throws std::bad_alloc.
[[nodiscard]] engine::SharedFrame record_head(std::string_view key,
                                              const engine::SharedFrame& frame);

/// What is in front of the frame of a whole record. The key is of these bytes.
struct ParsedHead {
    std::string_view key;
    bool has_place;
};
[[nodiscard]] ParsedHead parse_head(std::span<const std::uint8_t> head) noexcept;

/// The frame of a record that tells of a gap of its topic: a Close, with the reason as its only byte. Throws std::bad_alloc.
[[nodiscard]] engine::SharedFrame gap_frame(GapReason why);
/// Nothing when it does not.
[[nodiscard]] std::optional<GapReason> gap_of(const engine::SharedFrame& frame) noexcept;

}  // namespace websocket::hub
