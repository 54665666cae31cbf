// SPDX-License-Identifier: Apache-2.0
// Taking a tunnel away from mod_proxy.
#pragma once

#include "httpd/tunnel/tunnel_attempt.hpp"

namespace websocket::httpd {

/// The backend's 101 has gone to the client, and mod_proxy has begun to pass on what comes. Takes both
/// connections, which the engine serves when httpd has let go of them. False when that is not possible: then
/// nothing has changed, and the log says why. [httpd worker]
[[nodiscard]] bool take_tunnel(TunnelAttempt& attempt) noexcept;

}  // namespace websocket::httpd
