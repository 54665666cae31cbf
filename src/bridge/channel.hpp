// SPDX-License-Identifier: Apache-2.0
// How the broker's channels are called.
#pragma once

#include <string>
#include <string_view>

#include "hub/broker_url.hpp"

namespace websocket::bridge {

/// The channel of the topic that hub::TopicKey::bytes() calls `key`. No two topics have the same. The scope is what
/// WebSocketTopicScope says; without that, it is an @ and what tells hosts apart. Throws std::bad_alloc.
///
/// Of a Redis: "PREFIX SCOPE:TOPIC" without the blank, with %25 for each % and %3A for each colon in the scope.
///
/// A subject of NATS: "PREFIX SCOPE.TOPIC" without the blank. Controls, blanks, *, > and % are written as % and two
/// digits; so is a dot in the scope, which is one token, and a dot in the topic next to which a token would be empty.
[[nodiscard]] std::string channel_of(hub::BrokerUrl::Kind kind, std::string_view prefix,
                                     std::string_view key);

/// Where the bridges talk to each other: it is no topic's.
[[nodiscard]] inline std::string hosts_channel(std::string_view prefix) {
    return std::string(prefix) + "!hosts";
}
/// Where they tell who is present.
[[nodiscard]] inline std::string presence_channel(std::string_view prefix) {
    return std::string(prefix) + "!presence";
}

}  // namespace websocket::bridge
