// SPDX-License-Identifier: Apache-2.0
// Requests for a section that are no handshakes, where its plugin answers them.
#pragma once

#include <httpd.h>

namespace websocket::httpd {

/// What the handler has to return for a request that is no opening handshake, of whatever method: the plugin
/// is asked if it wants to be, and else answer_plain_request(). Throws std::bad_alloc. [httpd worker]
[[nodiscard]] int answer_without_handshake(request_rec* r);

}  // namespace websocket::httpd
