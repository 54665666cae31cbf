// SPDX-License-Identifier: Apache-2.0
// Protection of users against pages of other sites (RFC 6455 section 10.2).
#pragma once

#include <httpd.h>

#include "httpd/handshake/handshake_options.hpp"

namespace websocket::httpd {

/// Whether the page that opens the socket may do so under WebSocketOriginCheck; the error log says
/// why not. A request without an origin does not come from a page. [httpd worker]
[[nodiscard]] bool is_trusted_origin(request_rec* r, const HandshakeOptions& options,
                                     unsigned version);

}  // namespace websocket::httpd
