// SPDX-License-Identifier: Apache-2.0
// Handshakes for the section of a plugin that something else has answered.
#pragma once

#include <httpd.h>

namespace websocket::httpd {

/// The handler has got the request. [httpd worker]
void note_arrival(request_rec* r) noexcept;

/// The hooks that say in the log, at level info, where a handshake went that did not arrive: another
/// handler, a redirect, a file that MultiViews has found.
void register_lost_handshakes();

}  // namespace websocket::httpd
