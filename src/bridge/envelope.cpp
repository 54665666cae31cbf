// SPDX-License-Identifier: Apache-2.0
#include "bridge/envelope.hpp"

#include <algorithm>
#include <span>

#include "bridge/big_endian.hpp"
#include "protocol/event_encoder.hpp"
#include "protocol/utf8.hpp"

namespace websocket::bridge {

namespace {

constexpr char kVersion = 1;
constexpr std::uint8_t kHasFields = 0x80;
constexpr std::size_t kNumber = 8;  // bytes
constexpr std::size_t kFieldsHead = 2;

bool is_utf8(std::string_view text) noexcept {
    return protocol::is_utf8({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

/// Takes the fields away. They become lines of event streams as they are.
bool take_fields(Envelope& envelope) noexcept {
    std::string_view& rest = envelope.message;
    if (rest.size() < kFieldsHead) {
        return false;
    }
    const auto size = static_cast<std::size_t>(number_at(rest, kFieldsHead));
    rest.remove_prefix(kFieldsHead);
    if (size == 0 || size > protocol::kMaxEventFields || rest.size() < size) {
        return false;
    }
    envelope.fields = rest.substr(0, size);
    rest.remove_prefix(size);
    // No empty line: that would end the event.
    return is_utf8(envelope.fields) && envelope.fields.ends_with('\n') &&
           envelope.fields.find("\n\n") == std::string_view::npos &&
           envelope.fields.find_first_of(std::string_view("\r\0", 2)) == std::string_view::npos &&
           !envelope.fields.starts_with('\n');
}

}  // namespace

std::string Envelope::to_payload() const {
    std::string payload;
    payload.reserve(kHead + kFieldsHead + fields.size() + message.size());
    payload += '\0';
    payload += kVersion;
    const std::uint8_t flag = fields.empty() ? std::uint8_t{0} : kHasFields;
    payload += static_cast<char>(static_cast<std::uint8_t>(type) | flag);
    append_number(payload, host);
    append_number(payload, sequence);
    if (!fields.empty()) {
        append_number(payload, fields.size(), kFieldsHead);
        payload += fields;
    }
    payload += message;
    return payload;
}

std::optional<Envelope> Envelope::of_payload(std::string_view payload) noexcept {
    Envelope envelope;
    if (!payload.starts_with('\0')) {
        envelope.type = is_utf8(payload) ? Type::text : Type::binary;
        envelope.message = payload;
        return envelope;
    }
    if (payload.size() < kHead || payload[1] != kVersion) {
        return {};
    }
    const auto type = static_cast<std::uint8_t>(payload[2]);
    envelope.type = static_cast<Type>(type & ~kHasFields);
    envelope.host = number_at(payload.substr(3));
    envelope.sequence = number_at(payload.substr(3 + kNumber));
    envelope.message = payload.substr(kHead);
    if (envelope.type < Type::text || envelope.type > Type::presence || envelope.host == 0) {
        return {};
    }
    if ((type & kHasFields) != 0 && !take_fields(envelope)) {
        return {};
    }
    if (envelope.type == Type::text && !is_utf8(envelope.message)) {
        return {};
    }
    return envelope;
}

std::string Heartbeat::to_message() const {
    std::string message;
    append_number(message, dropped);
    return message;
}

std::optional<Heartbeat> Heartbeat::of_message(std::string_view message) noexcept {
    if (message.size() < kNumber) {
        return {};
    }
    return Heartbeat{number_at(message)};
}

}  // namespace websocket::bridge
