// SPDX-License-Identifier: Apache-2.0
// What a request says about the connection that it opens, for logs.
#pragma once

#include <httpd.h>

#include <optional>
#include <string_view>

#include "engine/connection_id.hpp"
#include "httpd/log/log_format.hpp"

namespace websocket::httpd {

/// The value of an item that is known when a connection opens, after the plugin has accepted it.
/// Lives as long as the request. [httpd worker]
[[nodiscard]] std::optional<std::string_view> log_value(request_rec* r, const LogItem& item,
                                                        engine::ConnectionId id);

}  // namespace websocket::httpd
