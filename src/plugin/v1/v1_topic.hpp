// SPDX-License-Identifier: Apache-2.0
// Publications of plugins of ABI version 1.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/connection_id.hpp"
#include "plugin/v1/v1_instance.hpp"
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
};
[[nodiscard]] ws_result publish(const V1Instance& instance, const Publishing& what) noexcept;

}  // namespace websocket::plugin
