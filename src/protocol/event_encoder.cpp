// SPDX-License-Identifier: Apache-2.0
#include "protocol/event_encoder.hpp"

#include <algorithm>
#include <charconv>

namespace websocket::protocol {

namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::string_view kData = "data: ";
constexpr std::string_view kNextLine = "\ndata: ";
constexpr std::string_view kEnd = "\n\n";
constexpr std::string_view kBinary = "event: binary\n";
constexpr std::string_view kTypeField = "event: ";
constexpr std::string_view kIdField = "id: ";
static_assert(kMaxEventFields == 2 * (kMaxEventField + 1) + kTypeField.size() + kIdField.size());

struct Counting {
    std::size_t size = 0;
    void put(Bytes bytes) noexcept { size += bytes.size(); }
    void put(std::string_view text) noexcept { size += text.size(); }
};

struct Writing {
    std::uint8_t* to;
    void put(Bytes bytes) noexcept { to = std::copy(bytes.begin(), bytes.end(), to); }
    void put(std::string_view text) noexcept { to = std::copy(text.begin(), text.end(), to); }
};

bool is_line_end(std::uint8_t byte) noexcept { return byte == '\n' || byte == '\r'; }

/// Of up to three bytes.
std::array<char, 4> base64_group(Bytes bytes) noexcept {
    constexpr std::string_view kAlphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 3; ++i) {
        bits = bits << 8 | (i < bytes.size() ? bytes[i] : 0U);
    }
    std::array<char, 4> text{};
    for (std::size_t i = 0; i < text.size(); ++i) {
        text.at(i) = i <= bytes.size() ? kAlphabet[bits >> (18 - 6 * i) & 63] : '=';
    }
    return text;
}

template <class Sink>
void put_base64(Bytes bytes, Sink& sink) noexcept {
    const std::array<char, 4> text = base64_group(bytes);
    sink.put(std::string_view(text.data(), text.size()));
}

}  // namespace

template <class Sink>
void EventEncoder::encode_text(const EventPart& part, Sink& sink) noexcept {
    Bytes rest = part.bytes;
    if (after_cr_ && !rest.empty() && rest.front() == '\n') {
        rest = rest.subspan(1);
    }
    after_cr_ = after_cr_ && part.bytes.empty();
    while (!rest.empty()) {
        const auto end = std::ranges::find_if(rest, is_line_end);
        const auto line = static_cast<std::size_t>(end - rest.begin());
        sink.put(rest.first(line));
        if (line == rest.size()) {
            return;
        }
        sink.put(kNextLine);
        const bool cr = rest[line] == '\r';
        const bool crlf = cr && line + 1 < rest.size() && rest[line + 1] == '\n';
        rest = rest.subspan(line + (crlf ? 2 : 1));
        after_cr_ = cr && !crlf && rest.empty();
    }
}

template <class Sink>
void EventEncoder::encode_bytes(const EventPart& part, Sink& sink) noexcept {
    Bytes rest = part.bytes;
    while (held_count_ > 0 && held_count_ < 3 && !rest.empty()) {
        held_.at(held_count_++) = rest.front();
        rest = rest.subspan(1);
    }
    if (held_count_ == 3) {
        put_base64(held_, sink);
        held_count_ = 0;
    }
    if (held_count_ == 0) {
        for (; rest.size() >= 3; rest = rest.subspan(3)) {
            put_base64(rest.first(3), sink);
        }
        std::copy(rest.begin(), rest.end(), held_.begin());
        held_count_ = static_cast<std::uint8_t>(rest.size());
    }
    if (part.last && held_count_ > 0) {
        put_base64(Bytes(held_).first(held_count_), sink);
    }
}

template <class Sink>
void EventEncoder::encode(const EventPart& part, Sink& sink) noexcept {
    if (part.first) {
        *this = {};
        if (part.type == MessageType::binary && !part.fields.starts_with(kTypeField)) {
            sink.put(kBinary);
        }
        sink.put(part.fields);
        sink.put(kData);
    }
    part.type == MessageType::text ? encode_text(part, sink) : encode_bytes(part, sink);
    if (part.last) {
        sink.put(kEnd);
    }
}

std::size_t EventEncoder::size(const EventPart& part) const noexcept {
    EventEncoder trial = *this;
    Counting counting;
    trial.encode(part, counting);
    return counting.size;
}

std::uint8_t* EventEncoder::write(const EventPart& part, std::uint8_t* to) noexcept {
    Writing writing{to};
    encode(part, writing);
    return writing.to;
}

std::optional<std::string> event_fields(std::optional<std::string_view> type,
                                        std::optional<std::string_view> id) {
    constexpr std::string_view kLineEnds = "\r\n";
    constexpr std::string_view kNotInId{"\r\n\0", 3};
    std::string fields;
    if (type && !type->empty()) {
        if (type->size() > kMaxEventField ||
            type->find_first_of(kLineEnds) != std::string_view::npos) {
            return {};
        }
        fields.append(kTypeField).append(*type) += '\n';
    }
    if (id) {
        if (id->size() > kMaxEventField || id->find_first_of(kNotInId) != std::string_view::npos) {
            return {};
        }
        fields.append(kIdField).append(*id) += '\n';
    }
    return fields;
}

bool has_event_id(std::string_view fields) noexcept {
    const std::size_t type = fields.starts_with(kTypeField) ? fields.find('\n') + 1 : 0;
    return fields.substr(type).starts_with(kIdField);
}

std::string retry_field(std::chrono::milliseconds time) {
    return "retry: " + std::to_string(time.count()) + "\n\n";
}

ChunkHeader::ChunkHeader(std::size_t size) noexcept {
    char* end = std::to_chars(text_.data(), text_.data() + text_.size() - 2, size, 16).ptr;
    *end++ = '\r';
    *end++ = '\n';
    size_ = static_cast<std::size_t>(end - text_.data());
}

}  // namespace websocket::protocol
