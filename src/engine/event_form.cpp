// SPDX-License-Identifier: Apache-2.0
#include "engine/event_form.hpp"

#include <algorithm>
#include <new>

#include "engine/gate.hpp"

namespace websocket::engine {

using protocol::BodyFraming;

namespace {

/// Keys of variants; those of compression are smaller.
constexpr std::uint32_t kForms = std::uint32_t{1} << 31;
constexpr std::uint32_t kFields = std::uint32_t{1} << 30;

constexpr std::string_view kChunkEnd = "\r\n";

/// `write(to)` makes `size` bytes and returns where they end.
template <class Write>
SharedFrame framed(std::size_t size, BodyFraming framing, Write write) {
    if (size == 0) {
        return {};  // a chunk of nothing would be the last one
    }
    if (size >= Gate::kMaxQueued) {
        throw std::bad_alloc();
    }
    if (framing == BodyFraming::bare) {
        SharedFrame frame = SharedFrame::unwritten(size);
        write(frame.writable().data());
        return frame;
    }
    const protocol::ChunkHeader header(size);
    SharedFrame frame = SharedFrame::unwritten(header.text().size() + size + kChunkEnd.size());
    std::uint8_t* to =
        std::copy(header.text().begin(), header.text().end(), frame.writable().data());
    std::copy(kChunkEnd.begin(), kChunkEnd.end(), write(to));
    return frame;
}

}  // namespace

SharedFrame encode_event(protocol::EventEncoder& encoder, const protocol::EventPart& part,
                         BodyFraming framing) {
    return framed(encoder.size(part), framing,
                  [&](std::uint8_t* to) { return encoder.write(part, to); });
}

SharedFrame framed_text(std::string_view text, BodyFraming framing) {
    return framed(text.size(), framing,
                  [&](std::uint8_t* to) { return std::copy(text.begin(), text.end(), to); });
}

SharedFrame event_form(const SharedFrame& frame, BodyFraming framing) {
    const std::uint32_t key = kForms | static_cast<std::uint32_t>(framing);
    const SharedFrame::Variant* known = frame.variant(key);
    if (known == nullptr) {
        protocol::EventEncoder encoder;
        known =
            &frame.add_variant(key, encode_event(encoder,
                                                 {protocol::message_type(frame.opcode()), true,
                                                  true, frame.payload(), event_fields_of(frame)},
                                                 framing));
    }
    return known->frame;
}

void set_event_fields(const SharedFrame& frame, std::string_view fields) {
    if (!fields.empty()) {
        frame.add_variant(kFields, SharedFrame::join(text_bytes(fields), {}));
    }
}

std::string_view event_fields_of(const SharedFrame& frame) noexcept {
    const SharedFrame::Variant* known = frame.variant(kFields);
    if (known == nullptr) {
        return {};
    }
    const auto bytes = known->frame.bytes();
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

NextFrame next_frame(std::span<const std::uint8_t> bytes) noexcept {
    std::size_t length = bytes[1] & protocol::kLengthBits;
    std::size_t header = 2;
    if (length >= protocol::kLength16) {
        const std::size_t more = length == protocol::kLength16 ? 2 : 8;
        length = 0;
        for (std::size_t i = 0; i < more; ++i) {
            length = length << 8 | bytes[header++];
        }
    }
    return {static_cast<protocol::Opcode>(bytes[0] & protocol::kOpcodeBits),
            (bytes[0] & protocol::kFin) != 0, bytes.subspan(header, length), header + length};
}

}  // namespace websocket::engine
