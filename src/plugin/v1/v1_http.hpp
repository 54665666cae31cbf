// SPDX-License-Identifier: Apache-2.0
// Requests that are no handshakes.
#pragma once

#include <cstdint>

#include "plugin/common/request.hpp"
#include "plugin/v1/v1_instance.hpp"

namespace websocket::plugin {

/// Calls the plugin's on_http. The status of the response, 200 to 599; 0 when the plugin leaves it to the
/// server. What a plugin must not do becomes a 500 and a line in the log. The caller has entered the instance.
/// [httpd worker]
[[nodiscard]] std::uint32_t answer_http(V1Instance& instance, Request& request) noexcept;

}  // namespace websocket::plugin
