// SPDX-License-Identifier: Apache-2.0
// Whether the server runs the files that are there.
#pragma once

#include <httpd.h>

namespace websocket::httpd {

/// Hook post_config: a line for each shared object, of the module and of plugins, whose file was
/// replaced while the old one stays in the process over restarts. [config]
int warn_of_old_code(apr_pool_t* pconf, apr_pool_t* plog, apr_pool_t* ptemp, server_rec* server);

}  // namespace websocket::httpd
