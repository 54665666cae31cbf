// SPDX-License-Identifier: Apache-2.0
// A request that a plugin answers, and its answer so far.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "httpd/handshake/handshake_options.hpp"
#include "httpd/plain/request_body.hpp"

namespace websocket::httpd {

/// Known by the RequestState while the plugin's callback runs. [httpd worker]
struct PlainExchange {
    PlainExchange(request_rec* r, const HandshakeOptions& of) noexcept
        : options(of), body(r, of.max_request_body) {}

    struct Content {
        std::string type;  ///< empty for none
        std::vector<std::uint8_t> bytes;
    };

    const HandshakeOptions& options;
    RequestBody body;                ///< the client's
    std::optional<Content> content;  ///< of the response
    /// The plugin wants it to be an event stream, whose clients come back after this time.
    std::optional<std::chrono::milliseconds> event_stream;
};

}  // namespace websocket::httpd
