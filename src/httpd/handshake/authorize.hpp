// SPDX-License-Identifier: Apache-2.0
// Whether the plugin wants a client.
#pragma once

#include <httpd.h>

#include <memory>

#include "httpd/config/endpoints.hpp"
#include "httpd/handshake/request_snapshot.hpp"
#include "httpd/process/child.hpp"

namespace websocket::httpd {

/// Asks the plugin, of whatever version. With a `session` it has accepted, and the response's headers
/// are complete; else the result is what the handler has to return. Throws std::bad_alloc before the
/// plugin is asked. [httpd worker]
[[nodiscard]] int authorize(request_rec* r, Child& child, const Endpoint& endpoint,
                            engine::ConnectionId id, std::unique_ptr<engine::Session>& session);

/// The same of one of version 1 that has started, about a request that need be no handshake.
[[nodiscard]] int ask_plugin(request_rec* r, plugin::V1Instance& instance, const Endpoint& endpoint,
                             engine::ConnectionId id, std::unique_ptr<RequestSnapshot> snapshot,
                             std::unique_ptr<engine::Session>& session);

}  // namespace websocket::httpd
