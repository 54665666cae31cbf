// SPDX-License-Identifier: Apache-2.0
// What errors of a Redis server mean for us.
#pragma once

#include <string>
#include <string_view>

namespace websocket::bridge {

/// True when the connection is of no use, now or ever: it is ended and tried again. Others are about one command.
[[nodiscard]] bool ends_connection(std::string_view error) noexcept;
/// For people: what to do, and the server's own words. Throws std::bad_alloc.
[[nodiscard]] std::string explain_error(std::string_view error);

}  // namespace websocket::bridge
