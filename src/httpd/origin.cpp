// SPDX-License-Identifier: Apache-2.0
#include "httpd/origin.hpp"

#include <apr_strings.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>

#include <algorithm>
#include <cstring>
#include <span>

#include "httpd/log.hpp"
#include "httpd/module.hpp"

APLOG_USE_MODULE(websocket);

namespace websocket::httpd {

namespace {

/// RFC 6454 section 6.2: scheme, host, and the port unless it is the scheme's default.
const char* origin_of_request(request_rec* r) {
    const bool ipv6 = std::strchr(r->hostname, ':') != nullptr;
    const char* host = ipv6 ? apr_pstrcat(r->pool, "[", r->hostname, "]", nullptr) : r->hostname;
    const apr_port_t port = ap_get_server_port(r);
    const char* origin = apr_pstrcat(r->pool, ap_http_scheme(r), "://", host, nullptr);
    return ap_is_default_port(port, r) ? origin : apr_psprintf(r->pool, "%s:%d", origin, port);
}

bool is_listed(const apr_array_header_t* list, const char* origin) {
    if (list == nullptr) {
        return false;
    }
    const std::span<const char* const> origins(reinterpret_cast<const char* const*>(list->elts),
                                               static_cast<std::size_t>(list->nelts));
    return std::ranges::any_of(
        origins, [origin](const char* trusted) { return std::strcmp(trusted, origin) == 0; });
}

}  // namespace

bool is_trusted_origin(request_rec* r, const Config& config, unsigned version) {
    constexpr unsigned kFirstWithOrigin = 8;
    const auto check = static_cast<OriginCheck>(config.get(Setting::origin_check));
    const char* name = version < kFirstWithOrigin ? "Sec-WebSocket-Origin" : "Origin";
    const char* origin = apr_table_get(r->headers_in, name);
    if (check == OriginCheck::off || origin == nullptr) {
        return true;
    }
    if (check == OriginCheck::trusted) {
        if (is_listed(config.trusted_origins, origin)) {
            return true;
        }
        log_limited(
            r, APLOG_WARNING,
            "WS0103: WebSocket handshake refused: %s %s is not among WebSocketTrustedOrigin", name,
            printable(r->pool, origin));
        return false;
    }
    const char* expected = r->hostname != nullptr ? origin_of_request(r) : nullptr;
    if (expected != nullptr && std::strcmp(origin, expected) == 0) {
        return true;
    }
    log_limited(r, APLOG_WARNING,
                "WS0104: WebSocket handshake refused: %s %s is not the request's own %s (see "
                "WebSocketOriginCheck)",
                name, printable(r->pool, origin), printable(r->pool, expected));
    return false;
}

}  // namespace websocket::httpd
