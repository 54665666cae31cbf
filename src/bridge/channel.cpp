// SPDX-License-Identifier: Apache-2.0
#include "bridge/channel.hpp"

#include <cstddef>
#include <cstdint>

namespace websocket::bridge {

namespace {

void append_escaped(std::string& text, char c) {
    constexpr const char* kDigits = "0123456789ABCDEF";
    const auto byte = static_cast<std::uint8_t>(c);
    text += '%';
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 0xFU];
}

void append_scope_for_redis(std::string& channel, std::string_view scope) {
    for (const char c : scope) {
        if (c == '%' || c == ':') {
            append_escaped(channel, c);
        } else {
            channel += c;
        }
    }
}

bool is_plain_in_subject(char c) noexcept {
    const auto byte = static_cast<std::uint8_t>(c);
    return byte > 0x20 && byte != 0x7F && c != '*' && c != '>' && c != '%' && c != '.';
}

/// One token.
void append_scope_for_nats(std::string& subject, std::string_view scope) {
    for (const char c : scope) {
        if (is_plain_in_subject(c)) {
            subject += c;
        } else {
            append_escaped(subject, c);
        }
    }
}

/// Tokens with dots between them, as the topic has them.
void append_topic_for_nats(std::string& subject, std::string_view topic) {
    bool may_end_token = false;
    for (std::size_t i = 0; i < topic.size(); ++i) {
        const bool dot = topic[i] == '.';
        if (dot ? may_end_token && i + 1 < topic.size() && topic[i + 1] != '.'
                : is_plain_in_subject(topic[i])) {
            subject += topic[i];
            may_end_token = !dot;
        } else {
            append_escaped(subject, topic[i]);
            may_end_token = true;
        }
    }
}

}  // namespace

std::string channel_of(hub::BrokerUrl::Kind kind, std::string_view prefix, std::string_view key) {
    const bool nats = kind == hub::BrokerUrl::Kind::nats;
    const auto size = static_cast<std::size_t>(static_cast<std::uint8_t>(key.front()));
    std::string_view scope = key.substr(1, size);
    const std::string_view topic = key.substr(1 + size);

    std::string channel(prefix);
    channel.reserve(prefix.size() + key.size() + 16);
    if (scope.starts_with('=')) {
        scope.remove_prefix(1);
        if (scope.starts_with('@')) {
            append_escaped(channel, '@');
            scope.remove_prefix(1);
        }
    } else {
        channel += '@';
    }
    if (nats) {
        append_scope_for_nats(channel, scope);
        channel += '.';
        append_topic_for_nats(channel, topic);
    } else {
        append_scope_for_redis(channel, scope);
        channel += ':';
        channel += topic;
    }
    return channel;
}

}  // namespace websocket::bridge
