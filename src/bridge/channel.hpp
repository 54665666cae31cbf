// SPDX-License-Identifier: Apache-2.0
// How the broker's channels are called.
#pragma once

#include <string>
#include <string_view>

namespace websocket::bridge {

/// "PREFIX SCOPE:TOPIC" without the blank, of the topic that hub::TopicKey::bytes() calls `key`. The scope is what WebSocketTopicScope says, with %25 for each % and %3A for
/// each colon in it; without that, it is an @ and what tells hosts apart. No two topics have the same channel. Throws
/// std::bad_alloc.
[[nodiscard]] std::string channel_of(std::string_view prefix, std::string_view key);

/// Where the bridges talk to each other: it is no topic's.
[[nodiscard]] inline std::string hosts_channel(std::string_view prefix) {
    return std::string(prefix) + "!hosts";
}
/// Where they tell who is present.
[[nodiscard]] inline std::string presence_channel(std::string_view prefix) {
    return std::string(prefix) + "!presence";
}

}  // namespace websocket::bridge
