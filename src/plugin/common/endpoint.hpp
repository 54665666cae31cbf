// SPDX-License-Identifier: Apache-2.0
// A plugin together with what the configuration says about its connections.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "engine/connection_options.hpp"
#include "engine/engine.hpp"
#include "hub/topic_options.hpp"
#include "plugin/common/option_list.hpp"
#include "plugin/common/pool.hpp"
#include "websocket/plugin.h"

namespace websocket::hub {
class Hub;
class Leaders;
class Presence;
}  // namespace websocket::hub

namespace websocket::plugin {

class Metrics;

/// Where the callbacks of a plugin run.
enum class Dispatch : std::uint8_t {
    pool,     ///< on threads that may be blocked, one message of a connection at a time
    inline_,  ///< on the event loop, for plugins that never block
};

/// What happens to a message for a client that already has send_buffer bytes waiting.
enum class SlowConsumer : std::uint8_t {
    block,  ///< the sender waits; on a loop, which never waits, the message is refused
    drop,   ///< the message is refused
    close,  ///< the message is refused and the connection closed with 1008
};

/// What sessions have to know.
struct SessionOptions {
    Dispatch dispatch = Dispatch::pool;  ///< of plugins of version 0; others say it themselves
    SlowConsumer slow_consumer = SlowConsumer::block;
    /// How long a sender that serves others, too, waits for room; 0 for as long as it takes.
    std::chrono::milliseconds send_timeout{10'000};
    /// Bytes of messages that may wait for the plugin before the socket is no longer read.
    std::size_t receive_buffer = 256U << 10;

    bool operator==(const SessionOptions&) const = default;
};

/// Never changes; outlives its connections.
struct Endpoint {
    const WebSocketPlugin* callbacks = nullptr;
    const ws_plugin* v1 = nullptr;  ///< null: the plugin is of version 0
    engine::ConnectionOptions connection = {};
    hub::TopicOptions topics = {};
    SessionOptions session = {};
    OptionList plugin_options = {};
    std::string place = {};     ///< what the log calls plugin and location
    std::string location = {};  ///< with its virtual host, for the status page

    bool operator==(const Endpoint&) const = default;
};

/// What all sessions of a process share.
struct Host {
    engine::Engine& engine;
    Pool& pool;
    base::Log& log;
    std::atomic<std::uint32_t> sessions{0};  ///< alive, in whatever state; and plugins not stopped
    std::atomic<std::uint64_t> numbers{0};   ///< given to timers and watches so far
    hub::Hub* topics = nullptr;              ///< null: there are none
    std::size_t listener_buffer = 0;         ///< bytes that may wait for a listener of a topic
    hub::Presence* presence = nullptr;       ///< null: there is none
    hub::Leaders* leaders = nullptr;         ///< null: there are none
    Metrics* metrics = nullptr;              ///< null: there are none
    std::atomic<std::uint32_t> drain_holds{0};  ///< what a drain waits for besides connections
};

}  // namespace websocket::plugin
