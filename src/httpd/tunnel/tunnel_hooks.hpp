// SPDX-License-Identifier: Apache-2.0
// Where mod_proxy meets tunnels of ours.
#pragma once

namespace websocket::httpd {

/// [config]
void register_tunnels();

}  // namespace websocket::httpd
