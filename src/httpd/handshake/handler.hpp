// SPDX-License-Identifier: Apache-2.0
// From a request to a connection of the engine.
#pragma once

#include <httpd.h>

#include <string_view>

namespace websocket::httpd {

constexpr std::string_view kHandlerName = "websocket-handler";

/// The content handler of `SetHandler websocket-handler`. [httpd worker]
int handle_request(request_rec* r);

}  // namespace websocket::httpd
