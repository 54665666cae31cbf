// SPDX-License-Identifier: Apache-2.0
// From directives to the endpoints of locations.
#pragma once

#include <httpd.h>

#include "httpd/config/config.hpp"
#include "httpd/config/endpoints.hpp"

namespace websocket::httpd {

/// Hook: puts together the endpoints of all sections that name a plugin, in each virtual host where
/// they apply. [config]
int prepare_endpoints(apr_pool_t* pconf, apr_pool_t* plog, apr_pool_t* ptemp, server_rec* server);

/// In child_init: from now on they stay until the process is gone, whatever becomes of httpd's pools.
/// Throws std::bad_alloc.
void keep_endpoints();

/// What applies to a request, after keep_endpoints(). Neither locks nor allocates where the sections
/// that match were put together before, see docs/design.md. Throws std::bad_alloc. [httpd worker]
[[nodiscard]] const Endpoint& endpoint_of(const request_rec* r);

}  // namespace websocket::httpd
