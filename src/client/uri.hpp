// SPDX-License-Identifier: Apache-2.0
// Addresses of WebSockets (RFC 6455 section 3).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace websocket::client {

struct Uri {
    bool tls;
    std::string host;  ///< a name or an address, without the brackets of IPv6
    std::uint16_t port;
    std::string authority;  ///< as in the field Host: the port unless it is the usual one
    std::string target;     ///< path and query
};

/// ws: and wss:, for which http: and https: may stand. `name` is what the text is called in the error. Throws
/// jsonrpc::ConfigurationError, std::bad_alloc. [any thread]
[[nodiscard]] Uri parse_uri(std::string_view name, std::string_view text);

}  // namespace websocket::client
