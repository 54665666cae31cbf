// SPDX-License-Identifier: Apache-2.0
// The request that opens a connection, and the answer to it. Part of the C++ face of
// websocket/plugin.h; include websocket/plugin.hpp.
#pragma once

#include <optional>

#include "connection.hpp"

namespace websocket {

/// Valid during on_upgrade; with `keep_request` of the plugin, a copy is valid until on_close has
/// returned. Views live as long. [any thread, one at a time]
class Request {
public:
    Request(const Server& server, ws_request* request) noexcept
        : server_(&server), request_(request) {}

    [[nodiscard]] std::string_view target() const { return text(WS_REQUEST_TARGET); }
    [[nodiscard]] std::string_view path() const { return text(WS_REQUEST_PATH); }
    [[nodiscard]] std::string_view query() const { return text(WS_REQUEST_QUERY); }
    [[nodiscard]] std::string_view host() const { return text(WS_REQUEST_HOST); }
    /// Who httpd has authenticated; empty when nobody.
    [[nodiscard]] std::string_view user() const { return text(WS_REQUEST_USER); }
    [[nodiscard]] std::string_view client() const { return text(WS_REQUEST_CLIENT); }

    /// One of WS_REQUEST_*; empty when there is none.
    [[nodiscard]] std::string_view text(std::uint32_t what) const {
        std::uint64_t size = 0;
        const char* found = table().text(request_, what, &size);
        return view(found, size);
    }
    [[nodiscard]] std::uint16_t client_port() const {
        return static_cast<std::uint16_t>(table().port(request_, WS_PORT_PEER));
    }
    /// Empty when there is none.
    [[nodiscard]] std::string_view header(std::string_view name) const {
        std::uint64_t size = 0;
        const char* found = table().header(request_, name.data(), name.size(), &size);
        return view(found, size);
    }
    /// A variable of httpd, such as one of SetEnvIf, or SSL_CLIENT_S_DN; empty when there is none.
    [[nodiscard]] std::string_view environment(std::string_view name) const {
        std::uint64_t size = 0;
        const char* found = table().environment(request_, name.data(), name.size(), &size);
        return view(found, size);
    }
    /// A parameter of the query, decoded; nothing when there is none of this name.
    [[nodiscard]] std::optional<std::string> parameter(std::string_view name) const {
        std::string_view rest = query();
        while (!rest.empty()) {
            const std::string_view pair = rest.substr(0, rest.find('&'));
            rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
            const std::size_t equals = pair.find('=');
            if (decoded(pair.substr(0, equals)) == name) {
                return equals == std::string_view::npos ? std::string()
                                                        : decoded(pair.substr(equals + 1));
            }
        }
        return {};
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

protected:
    [[nodiscard]] const ws_request_1& table() const { return server_->requests(); }

private:
    [[nodiscard]] static std::string_view view(const char* text, std::uint64_t size) noexcept {
        return text != nullptr ? std::string_view(text, static_cast<std::size_t>(size))
                               : std::string_view();
    }
    [[nodiscard]] static int digit(char c) noexcept {
        if (c >= '0' && c <= '9') return c - '0';
        if (c >= 'a' && c <= 'f') return c - 'a' + 10;
        if (c >= 'A' && c <= 'F') return c - 'A' + 10;
        return -1;
    }
    [[nodiscard]] static std::string decoded(std::string_view text) {
        std::string result;
        for (std::size_t i = 0; i < text.size(); ++i) {
            const bool escaped = text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 &&
                                 digit(text[i + 2]) >= 0;
            if (escaped) {
                result += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
                i += 2;
            } else {
                result += text[i] == '+' ? ' ' : text[i];
            }
        }
        return result;
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
    /// Sets a header of the response. False when it is not allowed.
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
