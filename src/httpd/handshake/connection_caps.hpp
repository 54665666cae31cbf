// SPDX-License-Identifier: Apache-2.0
// How many WebSockets one client address and one section may have, in all child processes together.
#pragma once

#include <httpd.h>

#include <ap_mpm.h>
#include <http_config.h>

#include <cstdint>

#include "httpd/handshake/handshake_options.hpp"
#include "shm/shared_counts.hpp"

namespace websocket::httpd {

/// What a connection counts against; given back when destroyed.
struct CapLeases {
    shm::SharedCounts::Lease address;
    shm::SharedCounts::Lease location;

    [[nodiscard]] bool any() const noexcept { return address || location; }
};

/// Names the directive that is being read by the sections around it and their virtual host: the same in every
/// process and after a restart, wherever it stands in the files then, so that connections below it can be
/// counted together. [config]
[[nodiscard]] std::uint64_t cap_identity(const cmd_parms* cmd) noexcept;

/// Hook: makes the memory that the children share, if a cap is configured. It outlives restarts:
/// children of an earlier generation still have connections. [config]
int prepare_caps(apr_pool_t* pconf, apr_pool_t* plog, apr_pool_t* ptemp, server_rec* server);

/// Hook: what a child had that has ended, in whatever way, is free. [config]
void reap_leases_of_child(server_rec* server, pid_t child, ap_generation_t generation, int slot,
                          mpm_child_status status);

/// In child_init: whatever is forked from this process counts with it. [config]
void claim_own_counts() noexcept;

/// OK and `leases`, or the status to refuse with; the error log says why. [httpd worker]
[[nodiscard]] int take_leases(const request_rec* r, const HandshakeOptions& options,
                              CapLeases& leases);

/// WebSocketMaxConnections is reached with `open` connections: logs it and returns the status.
/// [httpd worker]
[[nodiscard]] int refuse_for_child_cap(const request_rec* r, std::uint32_t open);

}  // namespace websocket::httpd
