// SPDX-License-Identifier: Apache-2.0
// Whether a request may become a WebSocket, and what is answered when not.
#pragma once

#include <httpd.h>

#include "httpd/config.hpp"

namespace websocket::httpd {

struct Handshake {
    const char* key;   ///< Sec-WebSocket-Key
    unsigned version;  ///< 7, 8 or 13
};

/// Checks the request in the order: is it an upgrade, is it well-formed, is there a plugin, is the
/// origin trusted. OK and a filled `handshake`, DECLINED when it is no WebSocket handshake at all,
/// else the status to answer with; the error log says why. [httpd worker]
[[nodiscard]] int check_handshake(request_rec* r, const Config& config, Handshake& handshake);

/// Replaces the response's headers by those that accept the handshake. [httpd worker]
void set_accepting_headers(request_rec* r, const Handshake& handshake);

}  // namespace websocket::httpd
