// SPDX-License-Identifier: Apache-2.0
// Publications of plugins of ABI version 1.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/connection_id.hpp"
#include "hub/hub.hpp"
#include "plugin/v1/v1_delivery.hpp"
#include "plugin/v1/v1_instance.hpp"
#include "plugin/v1/v1_listener.hpp"
#include "websocket/plugin.h"

namespace websocket::plugin {

/// A message to all subscribers of a topic, with the arguments as the plugin gave them; `fields` are what
/// protocol::event_fields() has made for event streams. [any thread]
struct Publishing {
    const void* topic;
    std::uint64_t topic_size;
    std::uint32_t type;
    const void* bytes;
    std::uint64_t size;
    engine::ConnectionId except;
    std::string_view fields = {};
    hub::Position* position = nullptr;  ///< is set, if any, when the topic has a history
};
[[nodiscard]] ws_result publish(const V1Instance& instance, const Publishing& what) noexcept;

[[nodiscard]] inline bool is_topic(const void* topic, std::uint64_t n) noexcept {
    return topic != nullptr && n >= 1 && n <= hub::TopicKey::kMaxName;
}
[[nodiscard]] inline std::string_view topic_name(const void* topic, std::uint64_t n) noexcept {
    return {static_cast<const char*>(topic), static_cast<std::size_t>(n)};
}
[[nodiscard]] ws_result abi_result(hub::TopicResult result) noexcept;

/// Has `subscribe(hub, scope, quota)` subscribe a connection, if it is there before and after. [any thread]
template <class Subscribe>
[[nodiscard]] ws_result subscribe_with(V1Instance& instance, engine::ConnectionId id,
                                       Subscribe subscribe) noexcept {
    if (id.generation() == 0 || !is_open(instance, id)) {
        return WS_GONE;
    }
    instance.note_topics();
    hub::Hub& topics = *instance.host().topics;
    const hub::TopicResult result =
        subscribe(topics, instance.endpoint().topics.scope, instance.topic_quota());
    if (result == hub::TopicResult::ok && !is_open(instance, id)) {
        topics.unsubscribe_all(id);  // it ended meanwhile, and nobody else would do this
        return WS_GONE;
    }
    return abi_result(result);
}

/// [any thread]
[[nodiscard]] ws_result listen(V1Instance& instance, std::string_view topic,
                               const V1Listener::Functions& functions,
                               std::uint64_t& listener) noexcept;

}  // namespace websocket::plugin
