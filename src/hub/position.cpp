// SPDX-License-Identifier: Apache-2.0
#include "hub/position.hpp"

#include <cstring>

namespace websocket::hub {

using engine::SharedFrame;

namespace {

/// Key of the variant; those of events and of compression are others.
constexpr std::uint32_t kPosition = std::uint32_t{1} << 29;

}  // namespace

std::string text_of(const Position& position) {
    return std::to_string(position.epoch) + '-' + std::to_string(position.offset);
}

void set_position(const SharedFrame& frame, const Position& position) {
    frame.add_variant(
        kPosition,
        SharedFrame::join({reinterpret_cast<const std::uint8_t*>(&position), sizeof position}, {}));
}

Position position_of(const SharedFrame& frame) noexcept {
    Position position;
    if (const SharedFrame::Variant* known = frame.variant(kPosition)) {
        std::memcpy(&position, known->frame.bytes().data(), sizeof position);
    }
    return position;
}

}  // namespace websocket::hub
