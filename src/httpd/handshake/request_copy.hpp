// SPDX-License-Identifier: Apache-2.0
// A request_rec for plugins that want one.
#pragma once

#include <httpd.h>

namespace websocket::httpd {

class RequestSnapshot;

/// A request_rec with a conn_rec, in a pool of its own which may be used from any one thread at a
/// time and has a lock for sub-pools. It has no filters and no socket; its per_dir_config is the
/// server's. `real`, when not null, also gives its notes and output headers. Null without memory.
[[nodiscard]] request_rec* copy_request(const RequestSnapshot& snapshot, const request_rec* real);

/// The DocumentRoot of a server, as configured.
[[nodiscard]] const char* document_root(const server_rec* server);

}  // namespace websocket::httpd
