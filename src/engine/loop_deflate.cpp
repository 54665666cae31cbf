// SPDX-License-Identifier: Apache-2.0
// What other threads send to connections that have agreed on compression. Messages that refer to
// nothing are compressed on the sending thread, all others by the connection.
#include <new>

#include "engine/loop.hpp"

namespace websocket::engine {

using protocol::DeflateSettings;

bool Loop::deflates(ConnectionId id, protocol::Opcode opcode, std::size_t size) noexcept {
    return agreed(id).applies_to(opcode, size);
}

DeflateSettings Loop::deflate(ConnectionId id) noexcept {
    const Gate* gate = this->gate(id);
    return gate != nullptr && gate->generation() == id.generation() ? agreed(id)
                                                                    : DeflateSettings{};
}

/// Nobody compresses needlessly; and what is too big stays so.
SendResult Loop::worth_deflating(ConnectionId id, std::size_t size,
                                 std::size_t high_water) noexcept {
    const Gate* gate = this->gate(id);
    if (gate == nullptr) return SendResult::gone;
    if (protocol::kMaxUnmaskedHeader + size >= Gate::kMaxQueued) return SendResult::too_big;
    if (gate->generation() != id.generation()) return SendResult::gone;
    if (gate->closing()) return SendResult::closing;
    return gate->full(high_water) ? SendResult::full : SendResult::ok;
}

SendResult Loop::send_deflated(ConnectionId id, protocol::Opcode opcode,
                               std::span<const std::uint8_t> payload,
                               std::size_t high_water) noexcept {
    const SendResult result = worth_deflating(id, payload.size(), high_water);
    if (result != SendResult::ok) {
        return result;
    }
    const DeflateSettings settings = agreed(id);
    // Another loop must not be busy with one message for long, either.
    const bool here = current_ == nullptr || payload.size() <= kDeflatePart;
    try {
        return !settings.server_takeover && here
                   ? post_frame(Command::Kind::send, id,
                                shared_deflate_.build(opcode, payload, settings), high_water)
                   : post_frame(Command::Kind::deflate, id, SharedFrame::build(opcode, payload),
                                high_water);
    } catch (const std::bad_alloc&) {
        return SendResult::no_memory;
    }
}

SendResult Loop::send_deflated(ConnectionId id, const SharedFrame& frame,
                               std::size_t high_water) noexcept {
    const SendResult result = worth_deflating(id, frame.payload().size(), high_water);
    if (result != SendResult::ok) {
        return result;
    }
    const DeflateSettings settings = agreed(id);
    return settings.server_takeover
               ? post_frame(Command::Kind::deflate, id, frame, high_water)
               : post_frame(Command::Kind::send, id, shared_deflate_.wire_form(frame, settings),
                            high_water);
}

}  // namespace websocket::engine
