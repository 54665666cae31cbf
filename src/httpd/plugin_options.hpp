// SPDX-License-Identifier: Apache-2.0
// WebSocketOption lines, and what the plugins say to them.
#pragma once

#include <httpd.h>

#include <http_config.h>

#include "httpd/config.hpp"

namespace websocket::httpd {

/// Remembers a section that names a plugin, for check_options(). [config]
void note_plugin(const cmd_parms* cmd, const Config& config);
/// How many there are. [config]
[[nodiscard]] int count_plugins(apr_pool_t* pconf);

}  // namespace websocket::httpd
