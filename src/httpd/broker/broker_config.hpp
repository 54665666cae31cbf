// SPDX-License-Identifier: Apache-2.0
// WebSocketBroker and the directives around it.
#pragma once

#include <httpd.h>

#include <http_config.h>

#include <string>

#include "hub/broker_settings.hpp"

namespace websocket::httpd {

// Setters; the last one of all directives with a file.
const char* set_broker(cmd_parms* cmd, void* section, const char* url);
const char* set_broker_prefix(cmd_parms* cmd, void* section, const char* prefix);
const char* set_broker_file(cmd_parms* cmd, void* section, const char* file);

/// Checks what single directives cannot, also for httpd -t. [config]
int check_broker(apr_pool_t* pconf, apr_pool_t* plog, apr_pool_t* ptemp, server_rec* server);

/// What the program is told. False when the password cannot be read: `error` says why. Throws std::bad_alloc. [config]
[[nodiscard]] bool make_broker_settings(server_rec* server, hub::BrokerSettings& settings,
                                        std::string& error);

/// The program, which is beside the module; empty when the loader does not know where that is.
[[nodiscard]] std::string bridge_program();

}  // namespace websocket::httpd
