// SPDX-License-Identifier: Apache-2.0
// Answers to handshakes, and to other requests for plugins, that cannot be served now.
#pragma once

#include <httpd.h>

#include <http_log.h>

#include <cstdint>

#include "engine/engine.hpp"

namespace websocket::httpd {

/// The status 503; the error log says why. [httpd worker]
[[nodiscard]] int unavailable(request_rec* r, const char* why, int level = APLOG_ERR);

/// The same of a child that is going to end: another one takes the client, on another connection.
/// [httpd worker]
[[nodiscard]] int ask_to_come_again(request_rec* r);

/// Why the engine has no place for a connection, beside the `open` ones. [httpd worker]
[[nodiscard]] int refuse_place(request_rec* r, engine::Refusal why, std::uint32_t open);

/// The status 501: this process cannot serve plugins. [httpd worker]
[[nodiscard]] int refuse_fork(request_rec* r);

}  // namespace websocket::httpd
