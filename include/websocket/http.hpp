// SPDX-License-Identifier: Apache-2.0
// Requests that are no handshakes, and what they are answered with. Part of the C++ face of
// websocket/plugin.h; include websocket/plugin.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "request.hpp"

namespace websocket {

/// A request for the section that is no opening handshake, of whatever method. What Request says of bytes and text
/// goes for it, too; BadRequest and other Refusals that leave on_http are the response.
///
/// Valid during on_http. [httpd worker]
class HttpRequest : public Request {
public:
    using Request::Request;

    /// As the client wrote it: "GET", also for HEAD "HEAD".
    [[nodiscard]] std::string_view method() const { return text(WS_REQUEST_METHOD); }

    /// The request's own body, all of it; empty when there is none. Bytes. Waits for the client. Throws Refusal:
    /// 413 beyond `most` bytes, or WebSocketMaxRequestBody, which holds as well; 400 and 408 when it does not come.
    /// The client may wait for this call before it sends anything, so refuse before it what you refuse anyway.
    [[nodiscard]] Bytes body(std::size_t most = SIZE_MAX) const {
        const void* bytes = nullptr;
        std::uint64_t size = 0;
        const std::uint32_t status = server().http().read_body(get(), most, &bytes, &size);
        if (status != 0) {
            throw Refusal(status, status == 413 ? "the body of the request is too large"
                                                : "the body of the request did not come");
        }
        return {static_cast<const std::uint8_t*>(bytes), static_cast<std::size_t>(size)};
    }
    /// The same. Throws BadRequest when it is not UTF-8.
    [[nodiscard]] std::string_view body_text(std::size_t most = SIZE_MAX) const {
        return checked_text(text_of(body(most)), "the body");
    }

    /// Whether WebSocketOriginCheck would let a handshake with this Origin pass; without one it would. A request
    /// that changes something for a user whom httpd knows by cookie or password may come from somebody else's page:
    /// answer it with 403 unless this is true.
    [[nodiscard]] bool trusts_origin() const { return server().http().trusts_origin(get()) != 0; }

    /// Whether httpd would let anybody do this, whoever and wherever he is: there is no Require, or none that keeps
    /// a stranger out. A server that cannot tell says yes.
    [[nodiscard]] bool is_open() const {
        const ws_http_1& table = server().http();
        return table.size < offsetof(ws_http_1, is_open) + sizeof table.is_open ||
               table.is_open(get()) != 0;
    }
};

/// `return {.body = "{}", .type = "application/json"};`
struct HttpResponse {
    /// 200 to 599.
    std::uint32_t status = 200;
    /// Without one, statuses from 300 on get httpd's own page, or an ErrorDocument.
    std::optional<std::string> body = {};
    /// Content-Type of the body; empty for none.
    std::string type = "text/plain; charset=utf-8";
    /// Others, of which several may have the same name. Left out, with a line in the log, is what is none (a name
    /// that is no token, a control character) and what the server sets itself, such as Content-Length. With an ETag
    /// or a Last-Modified, a client that has the body already gets 304 instead.
    std::vector<std::pair<std::string, std::string>> headers = {};

    /// As if there were no on_http: 426, or 405 for methods other than GET, HEAD and OPTIONS.
    [[nodiscard]] static HttpResponse of_server() { return {.status = 0}; }
};

namespace detail {

/// Hands it to the server; the status.
inline std::uint32_t respond(const Server& server, ws_request* request,
                             const HttpResponse& response) {
    for (const auto& [name, value] : response.headers) {
        server.http().add_header(request, name.data(), name.size(), value.data(), value.size());
    }
    if (response.body) {
        const std::string& body = *response.body;
        const ws_result taken = server.requests().set_body(
            request, response.type.data(), response.type.size(), body.data(), body.size());
        check(Result{taken});
    }
    return response.status;
}

}  // namespace detail

}  // namespace websocket
