// SPDX-License-Identifier: Apache-2.0
// Which topics have a history, as configured, and the memory that it is in; and the memory for who is present.
#pragma once

#include <httpd.h>

#include <http_config.h>

#include <memory>
#include <vector>

#include "base/log.hpp"
#include "hub/history.hpp"
#include "hub/presence_store.hpp"

namespace websocket::httpd {

/// Setter of WebSocketHistory. May throw std::bad_alloc.
const char* add_topic_history(cmd_parms* cmd, const char* pattern, const char* messages,
                              const char* ttl);

/// Makes the memory, or finds that of earlier generations, if some topic has a history. False, and the log says why, when
/// there is none. Scopes are named. [config]
[[nodiscard]] bool prepare_history(server_rec* server);

/// Of a child; null when no topic has any. Throws std::bad_alloc.
[[nodiscard]] std::unique_ptr<hub::History> history_of_process(const server_rec* server,
                                                               base::Log& log);

/// The same of all processes, for the bridge to other hosts. Scopes are named. Throws std::bad_alloc. [config]
[[nodiscard]] std::vector<hub::HistoryRule> history_rules(const server_rec* server);
/// The file with the memory; -1 when no topic has a history. [config]
[[nodiscard]] int history_file() noexcept;

/// Null when no topic has any. [any thread]
[[nodiscard]] const hub::HistoryStore* history_of_server() noexcept;

/// As prepare_history(); it is always there, and takes nothing as long as nobody is present. [config]
[[nodiscard]] bool prepare_presence(server_rec* server);
/// A child has ended. [config]
void reap_presence_of_child(pid_t child) noexcept;
/// After prepare_presence().
[[nodiscard]] const hub::PresenceStore& presence_of_server() noexcept;
/// Null before it. [any thread]
[[nodiscard]] const hub::PresenceStore* presence_if_any() noexcept;

}  // namespace websocket::httpd
