// SPDX-License-Identifier: Apache-2.0
#include "httpd/handshake/origin.hpp"

#include <apr_strings.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "httpd/log/log.hpp"
#include "httpd/module.hpp"
#include "httpd/request_state.hpp"
#include "protocol/origin.hpp"

namespace websocket::httpd {

namespace {

/// The request's own origin; nothing when it cannot be told. Throws std::bad_alloc.
struct OwnOrigin {
    std::optional<std::string> by_host;    ///< as the client has written it in its Host header
    std::optional<std::string> by_server;  ///< as httpd makes its own links: UseCanonicalName

    explicit OwnOrigin(request_rec* r) {
        const char* scheme = ap_http_scheme(r);
        if (const char* host = apr_table_get(r->headers_in, "Host")) {
            by_host = protocol::origin_of(scheme, host);
        }
        if (r->hostname != nullptr) {
            const bool ipv6 = std::strchr(r->hostname, ':') != nullptr;
            by_server = protocol::origin_of(
                scheme, apr_psprintf(r->pool, ipv6 ? "[%s]:%d" : "%s:%d", r->hostname,
                                     static_cast<int>(ap_get_server_port(r))));
        }
    }
};

bool is_own(const OwnOrigin& own, const std::optional<std::string>& origin) {
    return origin && (origin == own.by_host || origin == own.by_server);
}

const char* shown(apr_pool_t* pool, const std::optional<std::string>& origin) {
    return printable(pool, origin ? origin->c_str() : nullptr);
}

bool is_same(request_rec* r, const char* name, const char* text,
             const std::optional<std::string>& origin) {
    const OwnOrigin own(r);
    if (is_own(own, origin)) {
        return true;
    }
    if (own.by_host == own.by_server) {
        log_limited(r, APLOG_WARNING,
                    "WS0104: %s refused: %s %s is not the request's own %s (see "
                    "WebSocketOriginCheck)",
                    wanted_connection(r), name, printable(r->pool, text),
                    shown(r->pool, own.by_host));
    } else {
        log_limited(r, APLOG_WARNING,
                    "WS0104: %s refused: %s %s is not the request's own, which is "
                    "%s by the Host header and %s by the ServerName (see WebSocketOriginCheck)",
                    wanted_connection(r), name, printable(r->pool, text),
                    shown(r->pool, own.by_host), shown(r->pool, own.by_server));
    }
    return false;
}

/// What has no canonical form, such as "null", may be listed as it is.
bool is_listed(const std::vector<std::string>& list, const char* text,
               const std::optional<std::string>& origin) {
    return std::ranges::any_of(list, [&](const std::string& trusted) {
        return origin ? protocol::trusts(trusted, *origin) : trusted == text;
    });
}

bool is_trusted(request_rec* r, const HandshakeOptions& options, const char* name) {
    const char* text = apr_table_get(r->headers_in, name);
    if (text == nullptr) {
        return true;
    }
    const std::optional<std::string> origin = protocol::canonical_origin(text);
    if (options.origin_check == OriginCheck::same) {
        return is_same(r, name, text, origin);
    }
    if (is_listed(options.trusted_origins, text, origin)) {
        return true;
    }
    log_limited(r, APLOG_WARNING, "WS0103: %s refused: %s %s is not among WebSocketTrustedOrigin",
                wanted_connection(r), name, printable(r->pool, text));
    return false;
}

}  // namespace

bool is_trusted_origin(request_rec* r, const HandshakeOptions& options, unsigned version) {
    constexpr unsigned kOfTheStandard = 13;
    if (options.origin_check == OriginCheck::off) {
        return true;
    }
    // The drafts behind the versions before do not agree on the name.
    const bool draft = version < kOfTheStandard;
    return is_trusted(r, options, "Origin") &&
           (!draft || is_trusted(r, options, "Sec-WebSocket-Origin"));
}

bool comes_from_trusted_page(request_rec* r, const HandshakeOptions& options) {
    const char* text = apr_table_get(r->headers_in, "Origin");
    if (text == nullptr || options.origin_check == OriginCheck::off) {
        return true;
    }
    const std::optional<std::string> origin = protocol::canonical_origin(text);
    return options.origin_check == OriginCheck::same
               ? is_own(OwnOrigin(r), origin)
               : is_listed(options.trusted_origins, text, origin);
}

}  // namespace websocket::httpd
