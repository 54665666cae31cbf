// SPDX-License-Identifier: Apache-2.0
// Headers that plugins put into the answer. What is wrong with one is logged (WS0105), and it is left
// out.
#pragma once

#include <httpd.h>

#include <string_view>

namespace websocket::httpd {

class RequestSnapshot;

/// False when the header was left out. [httpd worker]
bool set_plugin_header(request_rec* r, std::string_view name, std::string_view value,
                       bool beside_others = false);

/// Sec-WebSocket-Protocol; false when the client has not offered it. [httpd worker]
bool set_subprotocol(request_rec* r, const RequestSnapshot& offer, std::string_view name);

/// What a plugin of version 0 has made of headers_out in its copy of the request, `wanted`, becomes that
/// of `r`, except for what is not allowed. [httpd worker]
void adopt_plugin_headers(request_rec* r, const RequestSnapshot& offer, const apr_table_t* wanted);

/// The handshake is refused after all: what accepts it is taken out of the answer. [httpd worker]
void drop_accepting_headers(request_rec* r);

}  // namespace websocket::httpd
