// SPDX-License-Identifier: Apache-2.0
// How the bytes of a connection travel, or what it is if that says more.
#pragma once

#include <httpd.h>

#include <array>
#include <cstddef>
#include <cstdint>

namespace websocket::httpd {

enum class TransportKind : std::uint8_t {
    tcp,
    tls,
    h2,      ///< a stream of HTTP/2
    pump,    ///< through filters of httpd
    tunnel,  ///< between a client and a backend of mod_proxy
    sse,     ///< an event stream, however its bytes travel
};

/// Their names in logs and status, in the order of the enumeration.
inline constexpr std::array<const char*, 6> kTransportNames{"tcp",  "tls",    "h2",
                                                            "pump", "tunnel", "sse"};

[[nodiscard]] constexpr const char* name_of(TransportKind kind) noexcept {
    return kTransportNames.at(static_cast<std::size_t>(kind));
}

/// That of the request's connection. Not by the scheme, which ServerName may set. [httpd worker]
[[nodiscard]] TransportKind transport_of(const request_rec* r);

}  // namespace websocket::httpd
