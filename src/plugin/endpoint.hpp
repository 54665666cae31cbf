// SPDX-License-Identifier: Apache-2.0
// A plugin together with what the configuration says about its connections.
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/connection_options.hpp"
#include "engine/engine.hpp"
#include "plugin/pool.hpp"
#include "websocket_plugin.h"

namespace websocket::plugin {

/// Where the callbacks of a plugin run.
enum class Dispatch : std::uint8_t {
    pool,     ///< on threads that may be blocked, one message of a connection at a time
    inline_,  ///< on the event loop, for plugins that never block
};

/// Never changes; outlives its connections.
struct Endpoint {
    const WebSocketPlugin* callbacks = nullptr;
    engine::ConnectionOptions options;
    Dispatch dispatch = Dispatch::pool;

    bool operator==(const Endpoint&) const = default;
};

/// What all sessions of a process share.
struct Host {
    engine::Engine& engine;
    Pool& pool;
    engine::Log& log;
    std::atomic<std::uint32_t> sessions{0};  ///< alive, in whatever state
};

}  // namespace websocket::plugin
