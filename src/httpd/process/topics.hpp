// SPDX-License-Identifier: Apache-2.0
// What topics need from httpd: memory that all children share, and a name for each virtual host.
#pragma once

#include <httpd.h>

#include <ap_mpm.h>
#include <http_config.h>

#include <string_view>

#include "hub/registry.hpp"

namespace websocket::httpd {

/// Makes the registry, or finds the one that the children of earlier generations use, and names the
/// scopes. [config]
int prepare_topics(apr_pool_t* pconf, apr_pool_t* plog, apr_pool_t* ptemp, server_rec* server);

/// Hook: lets others have the slot of a child that has ended. [config]
void reap_topics_of_child(server_rec* server, pid_t child, ap_generation_t generation, int slot,
                          mpm_child_status status);

/// After prepare_topics(). [any thread]
[[nodiscard]] const hub::Registry& topic_registry() noexcept;

/// After prepare_topics(). The file of hub::Leaders, the same in all generations of children.
/// [any thread]
[[nodiscard]] int leaders_file() noexcept;

/// Where the topics of a virtual host live: what WebSocketTopicScope names, or the host itself. Not
/// longer than hub::TopicKey::kMaxScope. [any thread]
[[nodiscard]] std::string_view topic_scope(const server_rec* server) noexcept;

/// Setter of WebSocketTopicScope.
const char* set_topic_scope(cmd_parms* cmd, void* section, const char* name);

}  // namespace websocket::httpd
