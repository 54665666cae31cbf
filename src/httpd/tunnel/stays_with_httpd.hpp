// SPDX-License-Identifier: Apache-2.0
// Tunnels that mod_proxy keeps, as it would without this module.
#pragma once

#include <httpd.h>

#include <cstdint>

namespace websocket::httpd {

enum class StaysBecause : std::uint8_t {
    http2,          ///< the client's connection is a stream of HTTP/2
    forked,         ///< the process ends with it
    old_httpd,      ///< its tunnels cannot be ended without closing both sockets
    no_proxy_http,  ///< whoever serves it tells nobody
    filter,         ///< something has to see the bytes
    threads,        ///< no loop can serve it
    descriptors,
    memory,
};

/// Says so in the error log, once for each reason in each process; `detail` is what it is called in that line.
/// [httpd worker]
void stays_with_httpd(const request_rec* r, StaysBecause why, const char* detail = "") noexcept;

}  // namespace websocket::httpd
