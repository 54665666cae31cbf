// SPDX-License-Identifier: Apache-2.0
// Warnings of what is in doubt: by `httpd -t` on the terminal, else in the error log.
#pragma once

#include <httpd.h>

namespace websocket::httpd {

/// The hooks check_config and post_config. [config]
void register_config_check();

}  // namespace websocket::httpd
