// SPDX-License-Identifier: Apache-2.0
// The request that opens a connection, and the answer to it. Part of the C++ face of
// websocket/plugin.h; include websocket/plugin.hpp.
#pragma once

#include <optional>

#include "connection.hpp"
#include "query.hpp"
#include "utf8.hpp"

namespace websocket {

/// Thrown in on_upgrade or on_http, wherever that is in the middle of: the client is refused with this HTTP status,
/// 300 to 599, and gets the sentence as the body. The administrator gets to read it with LogLevel info.
/// In other callbacks it is an exception like all others.
class Refusal : public std::runtime_error {
public:
    Refusal(std::uint32_t status, const std::string& sentence)
        : std::runtime_error(sentence), status_(status) {}
    [[nodiscard]] std::uint32_t status() const noexcept { return status_; }

private:
    std::uint32_t status_;
};

/// The same with 400: the request is wrong in itself.
class BadRequest : public Refusal {
public:
    explicit BadRequest(const std::string& sentence) : Refusal(400, sentence) {}
};

/// `bytes`, which may be sent as text when this returns: they are UTF-8. Else throws BadRequest; `what`
/// says what they are, for its sentence.
inline std::string_view checked_text(std::string_view bytes, std::string_view what) {
    if (!is_utf8(bytes)) {
        throw BadRequest(std::string(what) + " is not UTF-8");
    }
    return bytes;
}

/// The opening handshake.
///
/// What a client sends may be any bytes, also behind httpd's checks, and text messages must be UTF-8. So
/// what is to be sent on, stored or shown is asked for with the functions that end in _text: they throw
/// BadRequest when it is not UTF-8, which answers the handshake with 400. The others return the bytes as
/// they are.
///
/// Valid during on_upgrade; with `keep_request` of the plugin, a copy is valid until on_close has
/// returned. Views live as long. [any thread, one at a time]
class Request {
public:
    Request(const Server& server, ws_request* request) noexcept
        : server_(&server), request_(request) {}

    /// As the client wrote it, with the query. Bytes.
    [[nodiscard]] std::string_view target() const { return text(WS_REQUEST_TARGET); }
    /// Decoded, or what httpd has rewritten it to. Bytes.
    [[nodiscard]] std::string_view path() const { return text(WS_REQUEST_PATH); }
    /// The same. Throws BadRequest.
    [[nodiscard]] std::string_view path_text() const { return checked_text(path(), "the path"); }
    /// "/room/7" of "/chat/room/7" in <Location "/chat">: what lies below the section that has the
    /// WebSocketHandler, decoded; empty at the section itself. Bytes.
    [[nodiscard]] std::string_view below() const { return text(WS_REQUEST_BELOW); }
    /// The same. Throws BadRequest.
    [[nodiscard]] std::string_view below_text() const { return checked_text(below(), "the path"); }
    /// Not decoded. Bytes.
    [[nodiscard]] std::string_view query() const { return text(WS_REQUEST_QUERY); }
    [[nodiscard]] std::string_view host() const { return text(WS_REQUEST_HOST); }
    /// Who httpd has authenticated; empty when nobody. Bytes.
    [[nodiscard]] std::string_view user() const { return text(WS_REQUEST_USER); }
    /// The same. Throws BadRequest.
    [[nodiscard]] std::string_view user_text() const {
        return checked_text(user(), "the name of the user");
    }
    [[nodiscard]] std::string_view client() const { return text(WS_REQUEST_CLIENT); }

    /// One of WS_REQUEST_*; empty when there is none. Bytes: here, text is no more than a string.
    [[nodiscard]] std::string_view text(std::uint32_t what) const {
        std::uint64_t size = 0;
        const char* found = table().text(request_, what, &size);
        return view(found, size);
    }
    [[nodiscard]] std::uint16_t client_port() const {
        return static_cast<std::uint16_t>(table().port(request_, WS_PORT_PEER));
    }

    /// Empty when there is none. Bytes.
    [[nodiscard]] std::string_view header(std::string_view name) const {
        std::uint64_t size = 0;
        const char* found = table().header(request_, name.data(), name.size(), &size);
        return view(found, size);
    }
    /// The same. Throws BadRequest.
    [[nodiscard]] std::string_view header_text(std::string_view name) const {
        return checked_text(header(name), "header " + std::string(name));
    }

    /// A variable of httpd, such as one of SetEnvIf, or SSL_CLIENT_S_DN; empty when there is none. Bytes:
    /// many are made of what the client has sent.
    [[nodiscard]] std::string_view environment(std::string_view name) const {
        std::uint64_t size = 0;
        const char* found = table().environment(request_, name.data(), name.size(), &size);
        return view(found, size);
    }
    /// The same. Throws BadRequest.
    [[nodiscard]] std::string_view environment_text(std::string_view name) const {
        return checked_text(environment(name), "variable " + std::string(name));
    }

    /// A parameter of the query, the first of this name, decoded; nothing when there is none. Bytes, also
    /// NUL; a % that begins no escape stays as it is.
    [[nodiscard]] std::optional<std::string> parameter(std::string_view name) const {
        const std::optional<std::string_view> value = query_value(query(), name);
        return value ? std::optional(percent_decoded(*value).bytes) : std::nullopt;
    }
    /// The same. Throws BadRequest, also for a % that begins no escape, and for NUL, behind which much
    /// software would not look.
    [[nodiscard]] std::optional<std::string> parameter_text(std::string_view name) const {
        const std::optional<std::string_view> value = query_value(query(), name);
        return value ? std::optional(parameter_value(*value, name)) : std::nullopt;
    }
    /// All of this name, in their order. Throws BadRequest as well.
    [[nodiscard]] std::vector<std::string> parameters_text(std::string_view name) const {
        std::vector<std::string> values;
        for (const std::string_view value : query_values(query(), name)) {
            values.push_back(parameter_value(value, name));
        }
        return values;
    }

    [[nodiscard]] std::size_t subprotocol_count() const {
        return static_cast<std::size_t>(table().subprotocol_count(request_));
    }
    [[nodiscard]] std::string_view subprotocol(std::size_t index) const {
        std::uint64_t size = 0;
        const char* found = table().subprotocol(request_, index, &size);
        return view(found, size);
    }

    [[nodiscard]] ws_request* get() const noexcept { return request_; }
    [[nodiscard]] const Server& server() const noexcept { return *server_; }

protected:
    [[nodiscard]] const ws_request_1& table() const { return server_->requests(); }

private:
    [[nodiscard]] static std::string parameter_value(std::string_view encoded,
                                                     std::string_view name) {
        PercentDecoded decoded = percent_decoded(encoded);
        const std::string what = "parameter " + std::string(name);
        if (!decoded.well_formed) {
            throw BadRequest(what + " has a % that begins no escape");
        }
        if (decoded.bytes.find('\0') != std::string::npos) {
            throw BadRequest(what + " has a NUL in it");
        }
        static_cast<void>(checked_text(decoded.bytes, what));
        return std::move(decoded.bytes);
    }
    [[nodiscard]] static std::string_view view(const char* text, std::uint64_t size) noexcept {
        return text != nullptr ? std::string_view(text, static_cast<std::size_t>(size))
                               : std::string_view();
    }

    const Server* server_;
    ws_request* request_;
};

/// A handshake that waits for the plugin's answer, which is yes unless it refuses.
class Upgrade : public Request {
public:
    Upgrade(const Server& server, ws_request* request, ws_conn id) noexcept
        : Request(server, request), connection_(server, id) {}

    /// The connection to be. Nothing can be sent to it before on_open.
    [[nodiscard]] Connection connection() const noexcept { return connection_; }

    /// Answers with an HTTP status from 300 to 599 and httpd's own page for it.
    void refuse(std::uint32_t status) noexcept { status_ = status; }
    /// The same with a text of the plugin.
    void refuse(std::uint32_t status, std::string_view body,
                std::string_view type = "text/plain; charset=utf-8") {
        status_ = status;
        table().set_body(get(), type.data(), type.size(), body.data(), body.size());
    }
    /// Sets a header of the response, accepted or refused; one of the same name is replaced. False when
    /// it is none (a name that is no token, a control character) or one that the server sets itself.
    bool set_header(std::string_view name, std::string_view value) {
        return table().set_header(get(), name.data(), name.size(), value.data(), value.size()) ==
               WS_OK;
    }
    /// Chooses a subprotocol. False when the client has not offered it.
    bool choose_subprotocol(std::string_view name) {
        return table().choose_subprotocol(get(), name.data(), name.size()) == WS_OK;
    }

    [[nodiscard]] std::uint32_t status() const noexcept { return status_; }

private:
    Connection connection_;
    std::uint32_t status_ = 0;
};

}  // namespace websocket
