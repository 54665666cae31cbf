// SPDX-License-Identifier: Apache-2.0
// Where mod_proxy meets tunnels of ours.
#pragma once

#include <httpd.h>

namespace websocket::httpd {

/// Whether mod_proxy is to serve this request, and its answer to become a tunnel, if it may. [httpd worker]
[[nodiscard]] bool may_become_tunnel(const request_rec* r);

/// [config]
void register_tunnels();

}  // namespace websocket::httpd
