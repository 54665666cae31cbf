// SPDX-License-Identifier: Apache-2.0
#include "protocol/frame_header.hpp"

namespace websocket::protocol {

void MessageProgress::add(const FrameHeader& frame) noexcept {
    if (frame.opcode != Opcode::continuation) {
        type = message_type(frame.opcode);
        compressed = frame.compressed;
        open = true;
    }
    length += frame.payload_length;
    ++fragments;
    empty_fragments += frame.payload_length == 0 ? 1U : 0U;
}

}  // namespace websocket::protocol
