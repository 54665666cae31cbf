// SPDX-License-Identifier: Apache-2.0
// Requests that are answered with an event stream.
#pragma once

#include <httpd.h>

#include <chrono>
#include <memory>

#include "httpd/config/endpoints.hpp"
#include "httpd/handshake/request_snapshot.hpp"
#include "httpd/process/child.hpp"
#include "plugin/v1/v1_instance.hpp"

namespace websocket::httpd {

/// The plugin wants it: asks its on_upgrade, sends the head of the response through httpd's filters, and hands
/// the connection over to the engine, or pumps where that cannot be. Returns what the handler has to return.
/// Throws std::bad_alloc before the plugin is asked. [httpd worker]
[[nodiscard]] int open_event_stream(request_rec* r, Child& child, const Endpoint& endpoint,
                                    plugin::V1Instance& instance,
                                    std::unique_ptr<RequestSnapshot> request,
                                    std::chrono::milliseconds retry);

/// The request asks for an event stream, among others.
[[nodiscard]] bool wants_event_stream(const request_rec* r);

/// Of a child that is going to end: a stream of nothing, whose client comes back. A 503 it would take for an
/// answer. Returns what the handler has to return. [httpd worker]
[[nodiscard]] int ask_listener_to_come_again(request_rec* r);

}  // namespace websocket::httpd
