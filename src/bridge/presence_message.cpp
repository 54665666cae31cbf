// SPDX-License-Identifier: Apache-2.0
#include "bridge/presence_message.hpp"

#include <cstddef>

#include "bridge/big_endian.hpp"
#include "hub/presence_store.hpp"
#include "hub/topic_key.hpp"
#include "hub/watch_scope.hpp"

namespace websocket::bridge {

namespace {

constexpr std::size_t kHostBytes = 8;
constexpr std::size_t kMessageHead = 2 + kHostBytes;
// Of the lengths.
constexpr std::size_t kKeyLength = 2;
constexpr std::size_t kIdLength = 1;
constexpr std::size_t kInfoLength = 2;

bool goes_over_hosts(std::string_view bytes) noexcept {
    const auto key = hub::TopicKey::parse(bytes, {});
    return key && !key->is_of_process() && !hub::is_watch_scope(key->scope());
}

/// All changes are whole.
bool are_changes(std::string_view text) noexcept {
    while (PresenceChange::take(text)) {
    }
    return text.empty();
}

}  // namespace

void PresenceChange::append_to(std::string& text) const {
    text += present ? '\1' : '\0';
    append_number(text, key.size(), kKeyLength);
    text += key;
    append_number(text, id.size(), kIdLength);
    text += id;
    append_number(text, info.size(), kInfoLength);
    text += info;
}

std::optional<PresenceChange> PresenceChange::take(std::string_view& text) noexcept {
    if (text.empty()) {
        return {};
    }
    std::string_view rest = text;
    const auto present = static_cast<std::uint8_t>(rest.front());
    rest.remove_prefix(1);
    const auto key = take_bytes(rest, kKeyLength);
    const auto id = key ? take_bytes(rest, kIdLength) : std::nullopt;
    const auto info = id ? take_bytes(rest, kInfoLength) : std::nullopt;
    if (!info || present > 1 || !goes_over_hosts(*key) || id->empty() ||
        info->size() > hub::PresenceStore::kMaxInfo) {
        return {};
    }
    text = rest;
    return PresenceChange{present == 1, *key, *id, *info};
}

std::string PresenceMessage::to_message() const {
    std::string text;
    text.reserve(kMessageHead + kHostBytes + changes.size());
    text += static_cast<char>(kind);
    text += static_cast<char>(flags);
    append_number(text, host);
    if (kind == Kind::ask) {
        append_number(text, asked);
    }
    text += changes;
    return text;
}

std::optional<PresenceMessage> PresenceMessage::of_message(std::string_view text) noexcept {
    if (text.size() < kMessageHead) {
        return {};
    }
    PresenceMessage message;
    message.kind = static_cast<Kind>(text[0]);
    message.flags = static_cast<std::uint8_t>(text[1]);
    message.host = number_at(text.substr(2));
    text.remove_prefix(kMessageHead);
    if (message.kind < Kind::alive || message.kind > Kind::goodbye || message.host == 0) {
        return {};
    }
    if (message.kind == Kind::ask) {
        if (text.size() < kHostBytes) {
            return {};
        }
        message.asked = number_at(text);
    } else if (message.has_changes()) {
        if (!are_changes(text)) {
            return {};
        }
        message.changes = text;
    }
    return message;
}

}  // namespace websocket::bridge
