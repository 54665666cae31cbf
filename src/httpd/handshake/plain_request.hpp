// SPDX-License-Identifier: Apache-2.0
// What a request for an endpoint gets that is no opening handshake.
#pragma once

#include <httpd.h>

namespace websocket::httpd {

/// True when the request is for the page of an error (ErrorDocument), or for a part of another page.
/// Whatever its headers are, it is no handshake. [httpd worker]
[[nodiscard]] bool is_for_another(const request_rec* r);

/// Of a response with 426 (RFC 9110 section 15.5.22, RFC 6455 section 4.4).
void name_upgrade(apr_table_t* headers);

/// Says that this is a WebSocket endpoint. What lies below the endpoint's path in the file system is
/// never served: it may be the source of a program. Returns what the handler has to return.
///
///     GET, HEAD   426 with Upgrade: websocket; 400 over HTTP/2, which has no Upgrade
///     OPTIONS     200 with Allow
///     others      405 with Allow
///
/// [httpd worker]
[[nodiscard]] int answer_plain_request(request_rec* r);

}  // namespace websocket::httpd
