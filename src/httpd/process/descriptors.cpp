// SPDX-License-Identifier: Apache-2.0
#include "httpd/process/descriptors.hpp"

#include <http_log.h>

#include <cerrno>
#include <cstdint>

#include "httpd/config/config.hpp"
#include "httpd/config/plugin_options.hpp"
#include "httpd/module.hpp"
#include "httpd/process/mpm.hpp"

namespace websocket::httpd {

namespace {

bool raises(const Config& config) { return config.get(Setting::raise_descriptor_limit) != 0; }

/// Children that serve at a time, without those that drain.
std::uint64_t children() {
    return static_cast<std::uint64_t>(std::max(1, ask_mpm(AP_MPMQ_MAX_DAEMONS)));
}

/// The largest WebSocketMaxConnectionsPerLocation of a section with a plugin; 0 for none.
std::uint64_t most_of_a_location(apr_pool_t* pconf, apr_pool_t* ptemp) {
    std::int64_t most = 0;
    for (const PluginSection& section : plugin_sections(pconf)) {
        most = std::max(most, merged_config(ptemp, section, section.server)
                                  .get(Setting::max_connections_per_location));
    }
    return static_cast<std::uint64_t>(most);
}

void warn(server_rec* server, const char* directive, std::uint64_t configured,
          std::uint64_t possible, const char* whose, rlim_t limit) {
    ap_log_error(APLOG_MARK, APLOG_WARNING, 0, server,
                 "WS0112: %s is %" APR_UINT64_T_FMT
                 ", but descriptors are enough for %" APR_UINT64_T_FMT
                 " connections %s: a process may have %" APR_UINT64_T_FMT,
                 directive, configured, possible, whose, static_cast<std::uint64_t>(limit));
}

}  // namespace

void raise_descriptor_limit(const Config& config, server_rec* server) noexcept {
    rlimit limit{};
    if (!raises(config) || ::getrlimit(RLIMIT_NOFILE, &limit) != 0 ||
        limit.rlim_cur >= limit.rlim_max) {
        return;
    }
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, errno, server,
                     "WS0201: cannot raise the number of descriptors to %lu",
                     static_cast<unsigned long>(limit.rlim_max));
    }
}

int compare_descriptors(apr_pool_t* pconf, apr_pool_t* /*plog*/, apr_pool_t* ptemp,
                        server_rec* server) {
    const Config& config = process_config(server);
    rlimit limits{};
    if (::getrlimit(RLIMIT_NOFILE, &limits) != 0) {
        return OK;
    }
    const rlim_t limit = raises(config) ? limits.rlim_max : limits.rlim_cur;
    if (limit == RLIM_INFINITY) {
        return OK;
    }
    const std::uint64_t of_child = descriptors_for_connections(limit);
    const auto most_of_child = static_cast<std::uint64_t>(config.get(Setting::max_connections));
    if (most_of_child > of_child) {
        warn(server, "WebSocketMaxConnections", most_of_child, of_child, "of a child process",
             limit);
    }
    const std::uint64_t of_all = of_child * children();
    if (const std::uint64_t most = most_of_a_location(pconf, ptemp); most > of_all) {
        warn(server, "WebSocketMaxConnectionsPerLocation", most, of_all, "of all child processes",
             limit);
    }
    return OK;
}

}  // namespace websocket::httpd
