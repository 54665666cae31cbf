// SPDX-License-Identifier: Apache-2.0
// What a plugin may know of the opening handshake, for as long as the connection lives, or of another request
// while it answers that.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

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

    /// Sets a header of the response; strings are copied. False, and without effect but a line in the
    /// log, when it is not allowed; false when on_connect is over. [httpd worker]
    virtual bool set_response_header(std::string_view name, std::string_view value) = 0;

    /// Chooses a subprotocol. False, and without effect but a line in the log, when the client has
    /// not offered it; false when on_connect is over. [httpd worker]
    virtual bool choose_subprotocol(std::string_view name) = 0;

    /// As set_response_header(), beside those of the same name. [httpd worker]
    virtual bool add_response_header(std::string_view /*name*/, std::string_view /*value*/) {
        return false;
    }

    /// Sets the body of a refusal, or of the response to what is no handshake; both are copied. False when
    /// it is too late. [httpd worker]
    virtual bool set_response_body(std::string_view /*type*/,
                                   std::span<const std::uint8_t> /*body*/) {
        return false;
    }

    /// Reads the request's own body, of at most `most` bytes; `body` lives as long as the callback. 0, or the
    /// status to answer with. [httpd worker]
    [[nodiscard]] virtual std::uint32_t read_body(std::size_t /*most*/,
                                                  std::span<const std::uint8_t>& body) {
        body = {};
        return 0;
    }

    /// Whether it does not come from a page that could not open a WebSocket. [httpd worker]
    [[nodiscard]] virtual bool trusts_origin() const { return true; }

    /// Whether httpd would let a stranger do this. [httpd worker]
    [[nodiscard]] virtual bool is_open() const { return true; }

    /// Has the request answered with an event stream, whose clients come back after `retry`. False when that
    /// cannot be: while on_http runs only. [httpd worker]
    virtual bool accept_event_stream(std::chrono::milliseconds /*retry*/) { return false; }
    /// That was accepted. [any thread]
    [[nodiscard]] virtual bool is_event_stream() const noexcept { return false; }

    /// One of WS_REQUEST_*; null when there is none. [any thread]
    [[nodiscard]] virtual const char* text(std::uint32_t /*what*/) const noexcept {
        return nullptr;
    }
    /// One of WS_PORT_*. [any thread]
    [[nodiscard]] virtual std::uint16_t port(std::uint32_t /*which*/) const noexcept { return 0; }
    /// A variable of the request's environment; null when there is none. [any thread]
    [[nodiscard]] virtual const char* environment(const char* /*name*/) const noexcept {
        return nullptr;
    }
    /// Calls `visit` with name and value of each header until it says false. [any thread]
    using VisitHeader = bool (*)(void* data, const char* name, const char* value);
    virtual void visit_headers(VisitHeader /*visit*/, void* /*data*/) const {}

    /// Subprotocols that the client offered, in its order. [any thread]
    [[nodiscard]] virtual std::size_t subprotocol_count() const noexcept = 0;
    /// Null when out of range. [any thread]
    [[nodiscard]] virtual const char* subprotocol(std::size_t index) const noexcept = 0;

    /// Whether that is one of them, exactly. [any thread]
    [[nodiscard]] virtual bool offers_subprotocol(std::string_view name) const noexcept = 0;

    /// A request_rec that lives as long as this object, made when first asked for; null without
    /// memory. [any thread, one at a time]
    [[nodiscard]] virtual request_rec* native() = 0;
};

}  // namespace websocket::plugin
