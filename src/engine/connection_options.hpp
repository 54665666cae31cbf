// SPDX-License-Identifier: Apache-2.0
// What the engine has to know about the connections of one location.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "engine/rate_limits.hpp"
#include "protocol/frame_header.hpp"

namespace websocket::engine {

/// Shared by all connections of a location; never changes and outlives them.
struct ConnectionOptions {
    protocol::ReaderLimits reader;
    RateLimits rates;

    /// Queued bytes above which a peer counts as slow and is no longer read from: room for some
    /// replies, little enough that ten thousand slow peers do not hurt.
    std::size_t send_buffer = 256U << 10;
    /// Whether a peer that has no room for a message of one of its groups is closed with 1008; else it
    /// loses the message.
    bool closes_slow = false;

    /// Silence after which a Ping is sent, 0 for never. Below the 60 s at which most proxies and
    /// NAT boxes forget a connection.
    std::chrono::milliseconds ping_interval{30'000};
    /// Silence after a Ping that makes a peer dead. Any byte counts as life.
    std::chrono::milliseconds pong_timeout{30'000};
    /// How long the closing handshake and the last bytes may take.
    std::chrono::milliseconds close_timeout{5'000};

    /// Who serves them, for lines in the log.
    std::string owner = {};

    /// Session::on_part() instead of on_message(): no message is ever whole in memory.
    bool parts = false;

    bool operator==(const ConnectionOptions&) const = default;
};

}  // namespace websocket::engine
