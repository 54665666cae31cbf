// SPDX-License-Identifier: Apache-2.0
#include "hub/position.hpp"

#include <cstring>

namespace websocket::hub {

using engine::SharedFrame;

namespace {

/// Keys of the variants; those of events and of compression are others.
constexpr std::uint32_t kPosition = std::uint32_t{1} << 29;
constexpr std::uint32_t kOrigin = kPosition + 1;

template <class Value>
void set_value(const SharedFrame& frame, std::uint32_t key, const Value& value) {
    frame.add_variant(
        key, SharedFrame::join({reinterpret_cast<const std::uint8_t*>(&value), sizeof value}, {}));
}

template <class Value>
Value value_of(const SharedFrame& frame, std::uint32_t key) noexcept {
    Value value;
    if (const SharedFrame::Variant* known = frame.variant(key)) {
        std::memcpy(&value, known->frame.bytes().data(), sizeof value);
    }
    return value;
}

}  // namespace

std::string text_of(const Position& position) {
    return std::to_string(position.epoch) + '-' + std::to_string(position.offset);
}

void set_position(const SharedFrame& frame, const Position& position) {
    set_value(frame, kPosition, position);
}

Position position_of(const SharedFrame& frame) noexcept {
    return value_of<Position>(frame, kPosition);
}

void set_origin(const SharedFrame& frame, const Origin& origin) {
    set_value(frame, kOrigin, origin);
}

Origin origin_of(const SharedFrame& frame) noexcept { return value_of<Origin>(frame, kOrigin); }

}  // namespace websocket::hub
