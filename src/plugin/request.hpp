// SPDX-License-Identifier: Apache-2.0
// What a plugin may know of the opening handshake, for as long as the connection lives.
#pragma once

#include <cstddef>

struct request_rec;

namespace websocket::plugin {

/// Implemented by the httpd side. Pointers that it returns stay valid as long as it does.
class Request {
public:
    Request() noexcept = default;
    Request(const Request&) = delete;
    Request& operator=(const Request&) = delete;
    virtual ~Request() = default;

    /// Value of a request header, repeated ones joined by ", "; null when absent. [any thread]
    [[nodiscard]] virtual const char* header(const char* name) const noexcept = 0;

    /// Sets a header of the response; strings are copied. Without effect after on_connect.
    /// [httpd worker]
    virtual void set_response_header(const char* name, const char* value) = 0;

    /// Subprotocols that the client offered, in its order. [any thread]
    [[nodiscard]] virtual std::size_t subprotocol_count() const noexcept = 0;
    /// Null when out of range. [any thread]
    [[nodiscard]] virtual const char* subprotocol(std::size_t index) const noexcept = 0;

    /// A request_rec that lives as long as this object, made when first asked for; null without
    /// memory. [any thread, one at a time]
    [[nodiscard]] virtual request_rec* native() = 0;
};

}  // namespace websocket::plugin
