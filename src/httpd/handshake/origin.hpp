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

/// The same of another request, without a line in the log. Throws std::bad_alloc. [httpd worker]
[[nodiscard]] bool comes_from_trusted_page(request_rec* r, const HandshakeOptions& options);

}  // namespace websocket::httpd
