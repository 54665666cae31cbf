// SPDX-License-Identifier: Apache-2.0
// What mod_status shows of the WebSockets of all child processes.
#pragma once

#include <httpd.h>

#include <ap_mpm.h>

namespace websocket::httpd {

/// Hook: makes the memory that the children share. [config]
int prepare_status(apr_pool_t* pconf, apr_pool_t* plog, apr_pool_t* ptemp, server_rec* server);

/// Hook: what a child had that has ended, in whatever way, is not shown any more; what it has counted is
/// kept. [config]
void reap_status_of_child(server_rec* server, pid_t child, ap_generation_t generation, int slot,
                          mpm_child_status status);

/// Makes the part of the page known to mod_status, if that is loaded. [config]
void register_status();

}  // namespace websocket::httpd
