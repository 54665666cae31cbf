// SPDX-License-Identifier: Apache-2.0
// How many descriptors a child process may have, and how many of them connections may take.
#pragma once

#include <httpd.h>

#include <sys/resource.h>

#include <algorithm>

namespace websocket::httpd {

struct Config;

/// Of so many descriptors, those that connections may take; httpd needs the rest for pages, logs and
/// handshakes that are refused. [any thread]
[[nodiscard]] constexpr rlim_t descriptors_for_connections(rlim_t limit) noexcept {
    return limit - std::min<rlim_t>(limit / 4, 256);
}

/// Raises the soft limit of this process to the hard one, unless it is configured otherwise.
void raise_descriptor_limit(const Config& config, server_rec* server) noexcept;

/// Hook post_config: a line when more connections are configured than there can be descriptors for.
/// [config]
int compare_descriptors(apr_pool_t* pconf, apr_pool_t* plog, apr_pool_t* ptemp, server_rec* server);

}  // namespace websocket::httpd
