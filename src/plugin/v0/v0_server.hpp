// SPDX-License-Identifier: Apache-2.0
// The function table that plugins of ABI version 0 call.
#pragma once

#include "websocket_plugin.h"

namespace websocket::plugin {

class V0Session;

/// The table for one session; valid as long as the session.
[[nodiscard]] WebSocketServer make_v0_server(V0Session& session) noexcept;

}  // namespace websocket::plugin
