// SPDX-License-Identifier: Apache-2.0
// What mod_status shows of the WebSockets of all child processes.
#pragma once

#include <httpd.h>

#include <ap_mpm.h>

#include <cstdint>

#include "engine/open_counts.hpp"
#include "httpd/takeover/transport_kind.hpp"
#include "hub/topic_counts.hpp"
#include "protocol/deflate_settings.hpp"

namespace websocket::httpd {

/// Hook: makes the memory that the children share. It outlives restarts: children of before still
/// have connections. [config]
int prepare_status(apr_pool_t* pconf, apr_pool_t* plog, apr_pool_t* ptemp, server_rec* server);

/// Hook: what a child had that has ended, in whatever way, is not shown any more. [config]
void reap_status_of_child(server_rec* server, pid_t child, ap_generation_t generation, int slot,
                          mpm_child_status status);

/// Where this process counts its connections, by status_category(). Null when there is no memory.
/// [any thread]
[[nodiscard]] engine::OpenCounts* own_open_counts() noexcept;
/// The same for its topics. [any thread]
[[nodiscard]] hub::TopicCounts* own_topic_counts() noexcept;

/// Shows that so many event loops of this process hang. [watcher]
void show_hanging_loops(std::uint32_t count) noexcept;

[[nodiscard]] std::uint8_t status_category(TransportKind transport,
                                           const protocol::DeflateSettings& deflate) noexcept;

/// Makes the part of the page known to mod_status, if that is loaded. [config]
void register_status();

}  // namespace websocket::httpd
