// SPDX-License-Identifier: Apache-2.0
#include "hub/record.hpp"

#include <cstring>

#include "engine/event_form.hpp"

namespace websocket::hub {

using engine::SharedFrame;

SharedFrame record_head(std::string_view key, const SharedFrame& frame) {
    const RecordHead head{static_cast<std::uint32_t>(frame.bytes().size()),
                          static_cast<std::uint16_t>(key.size()), 0};
    return SharedFrame::join({reinterpret_cast<const std::uint8_t*>(&head), sizeof head},
                             engine::text_bytes(key));
}

ParsedHead parse_head(std::span<const std::uint8_t> bytes) noexcept {
    RecordHead head;
    std::memcpy(&head, bytes.data(), sizeof head);
    const auto key = bytes.subspan(sizeof head, head.key_size);
    return {{reinterpret_cast<const char*>(key.data()), key.size()},
            (head.fields_size & RecordHead::kHasPlace) != 0};
}

SharedFrame gap_frame(GapReason why) {
    const auto byte = static_cast<std::uint8_t>(why);
    return SharedFrame::build(protocol::Opcode::close, {&byte, 1});
}

std::optional<GapReason> gap_of(const SharedFrame& frame) noexcept {
    if (frame.opcode() != protocol::Opcode::close) {
        return {};
    }
    const auto payload = frame.payload();
    if (payload.size() != 1 || !is_gap_reason(payload.front())) {
        return {};
    }
    return GapReason{payload.front()};
}

}  // namespace websocket::hub
