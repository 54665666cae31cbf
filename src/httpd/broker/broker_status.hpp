// SPDX-License-Identifier: Apache-2.0
// What mod_status shows of the bridge to other hosts.
#pragma once

#include <httpd.h>

namespace websocket::httpd {

/// Nothing without WebSocketBroker. `flags` are those of mod_status. [httpd worker]
void print_broker_figures(request_rec* r, int flags);

}  // namespace websocket::httpd
