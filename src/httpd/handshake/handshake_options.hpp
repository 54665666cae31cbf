// SPDX-License-Identifier: Apache-2.0
// What the opening handshake has to know about a location.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "httpd/config/directives.hpp"
#include "protocol/deflate_settings.hpp"

namespace websocket::httpd {

/// How many connections there may be at a time.
struct ConnectionCap {
    std::uint64_t identity = 0;  ///< connections below the same cap are counted together
    std::int64_t most = 0;       ///< 0 for any number

    bool operator==(const ConnectionCap&) const = default;
};

/// Never changes.
struct HandshakeOptions {
    OriginCheck origin_check = OriginCheck::same;
    KeyCheck key_check = KeyCheck::strict;
    std::vector<std::string> trusted_origins = {};  ///< texts of protocol::TrustedOrigin
    ConnectionCap address_cap = {};
    ConnectionCap location_cap = {};
    std::size_t max_request_size = 0;  ///< of what the plugin may ask for later
    std::size_t max_request_body = 0;  ///< of a request that is no handshake, for its plugin
    protocol::DeflatePolicy deflate = {};

    bool operator==(const HandshakeOptions&) const = default;
};

}  // namespace websocket::httpd
