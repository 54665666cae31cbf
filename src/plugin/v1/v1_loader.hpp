// SPDX-License-Identifier: Apache-2.0
// What the init function of a plugin of ABI version 1 has returned.
#pragma once

#include <string>

#include "websocket/plugin.h"

namespace websocket::plugin {

/// Bytes of ws_plugin in minor version 0: every plugin has them.
constexpr std::size_t kMinV1Size = 152;

/// What the server knows of `plugin`, whose version is 1. Members that its minor version did not
/// have yet are null. `objection` says what is wrong with it, and is empty when nothing is. [config]
[[nodiscard]] ws_plugin read_v1_plugin(const WebSocketPlugin& plugin, std::string& objection);

}  // namespace websocket::plugin
