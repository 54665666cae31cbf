// SPDX-License-Identifier: Apache-2.0
// The program websocket-bridge as a process of this httpd: started by the parent, and again when it dies.
#pragma once

#include <httpd.h>

namespace websocket::httpd {

/// Starts it if WebSocketBroker says so; over restarts it goes on, unless what it was told or its file has changed.
/// It runs as the children do, and ends when the parent and all children have. [config]
int start_bridge(apr_pool_t* pconf, apr_pool_t* plog, apr_pool_t* ptemp, server_rec* server);

}  // namespace websocket::httpd
