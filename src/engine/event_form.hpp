// SPDX-License-Identifier: Apache-2.0
// What the frames of messages become on event streams: made once for all streams that want the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "engine/shared_frame.hpp"
#include "protocol/event_encoder.hpp"

namespace websocket::engine {

/// One part, as a body with this framing has it; nothing when there is nothing to write. Throws std::bad_alloc,
/// also for what would be Gate::kMaxQueued or more: text of nothing but line ends grows sevenfold.
[[nodiscard]] SharedFrame encode_event(protocol::EventEncoder& encoder,
                                       const protocol::EventPart& part,
                                       protocol::BodyFraming framing);

/// Any text of a stream that is no message: a comment, say. Throws std::bad_alloc.
[[nodiscard]] SharedFrame framed_text(std::string_view text, protocol::BodyFraming framing);

/// The same of one whole text or binary frame, uncompressed. It is kept with the frame.
[[nodiscard]] SharedFrame event_form(const SharedFrame& frame, protocol::BodyFraming framing);

/// What protocol::event_fields() has made for this message, kept with its frame: before others have it. Throws
/// std::bad_alloc.
void set_event_fields(const SharedFrame& frame, std::string_view fields);
/// Empty without.
[[nodiscard]] std::string_view event_fields_of(const SharedFrame& frame) noexcept;

[[nodiscard]] inline std::span<const std::uint8_t> text_bytes(std::string_view text) noexcept {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// The next of several frames of a server.
struct NextFrame {
    protocol::Opcode opcode;
    bool fin;
    std::span<const std::uint8_t> payload;
    std::size_t size;  ///< with its header
};
/// `bytes` begins with a whole one.
[[nodiscard]] NextFrame next_frame(std::span<const std::uint8_t> bytes) noexcept;

}  // namespace websocket::engine
