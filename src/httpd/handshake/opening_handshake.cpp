// SPDX-License-Identifier: Apache-2.0
#include "httpd/handshake/opening_handshake.hpp"

#include <apr_strings.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>

#include <cstring>
#include <string>
#include <string_view>

#include "httpd/handshake/origin.hpp"
#include "httpd/handshake/plain_request.hpp"
#include "httpd/log/log.hpp"
#include "httpd/module.hpp"
#include "protocol/handshake.hpp"

namespace websocket::httpd {

namespace {

const char* header(const request_rec* r, const char* name) {
    return apr_table_get(r->headers_in, name);
}

bool names(const request_rec* r, const char* list, std::string_view token) {
    const char* value = header(r, list);
    return value != nullptr && protocol::list_has_token(value, token);
}

bool is_valid_key(const char* key, KeyCheck check) {
    if (key == nullptr) {
        return false;
    }
    return check == KeyCheck::lenient ? protocol::is_lenient_key(key)
                                      : protocol::is_strict_key(key);
}

bool has_valid_subprotocols(const request_rec* r) {
    const char* offered = header(r, "Sec-WebSocket-Protocol");
    return offered == nullptr || protocol::parse_token_list(offered).has_value();
}

int bad_request(request_rec* r, const char* what, const char* value) {
    log_limited(r, APLOG_WARNING, "WS0101: WebSocket handshake refused: %s: %s", what,
                printable(r->pool, value));
    return HTTP_BAD_REQUEST;
}

int check_syntax(request_rec* r, const HandshakeOptions& options, Handshake& handshake) {
    handshake.key = header(r, "Sec-WebSocket-Key");
    handshake.version = websocket_version(r);
    const bool supported = protocol::is_supported_version(handshake.version);
    if (!supported) {
        // With every refusal, whatever else is wrong: the client may learn and try again.
        apr_table_setn(r->err_headers_out, "Sec-WebSocket-Version",
                       protocol::kSupportedVersions.data());
    }
    if (r->method_number != M_GET || r->header_only != 0) {
        return bad_request(r, "method is not GET", r->method);
    }
    if (header(r, "Host") == nullptr || r->parsed_uri.path == nullptr) {
        return bad_request(r, "no Host or no path", r->unparsed_uri);
    }
    if (const int status = check_body(r); status != OK) {
        return status;
    }
    if (!is_valid_key(handshake.key, options.key_check)) {
        return bad_request(r, "invalid Sec-WebSocket-Key", handshake.key);
    }
    if (!supported) {
        return bad_request(r, "unsupported Sec-WebSocket-Version",
                           header(r, "Sec-WebSocket-Version"));
    }
    if (!has_valid_subprotocols(r)) {
        return bad_request(r, "invalid Sec-WebSocket-Protocol",
                           header(r, "Sec-WebSocket-Protocol"));
    }
    return OK;
}

/// Clients that break what they agree on, known ones and those that the administrator names.
bool must_not_compress(const request_rec* r) {
    const char* agent = header(r, "User-Agent");
    return apr_table_get(r->subprocess_env, "websocket-no-deflate") != nullptr ||
           (agent != nullptr && protocol::has_broken_deflate(agent));
}

}  // namespace

bool wants_upgrade(const request_rec* r) { return names(r, "Upgrade", "websocket"); }

unsigned websocket_version(const request_rec* r) {
    const char* version = header(r, "Sec-WebSocket-Version");
    return version != nullptr ? protocol::parse_version(version).value_or(0) : 0;
}

bool is_handshake_if_wanted(const request_rec* r) {
    return r->proto_num >= HTTP_VERSION(1, 1) && !is_for_another(r) &&
           names(r, "Connection", "Upgrade");
}

bool is_handshake(const request_rec* r) { return wants_upgrade(r) && is_handshake_if_wanted(r); }

/// RFC 9112 section 6: a message with a body has one of these.
int check_body(request_rec* r) {
    if (r->connection->master != nullptr) {
        return OK;  // a stream of HTTP/2 ends by itself
    }
    const char* coding = header(r, "Transfer-Encoding");
    const char* length = header(r, "Content-Length");
    const bool empty = length == nullptr || std::strspn(length, "0") == std::strlen(length);
    return coding == nullptr && empty
               ? OK
               : bad_request(r, "request has a body", coding != nullptr ? coding : length);
}

int check_handshake(request_rec* r, const Endpoint& endpoint, Handshake& handshake) {
    const HandshakeOptions& options = endpoint.handshake;
    if (const int status = check_syntax(r, options, handshake); status != OK) {
        return status;
    }
    if (!endpoint.has_plugin()) {
        log_limited(r, APLOG_ERR,
                    "WS0102: no WebSocket plugin is assigned for location %s (did you forget to "
                    "define a WebSocketHandler?)",
                    printable(r->pool, r->parsed_uri.path));
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    return is_trusted_origin(r, options, handshake.version) ? OK : HTTP_FORBIDDEN;
}

protocol::DeflateAgreement agree_on_deflate(request_rec* r, const Handshake& handshake,
                                            const protocol::DeflatePolicy& policy) {
    constexpr unsigned kOfTheStandard = 13;  // the extension belongs to it
    const char* offered = header(r, "Sec-WebSocket-Extensions");
    if (offered == nullptr || !policy.enabled || handshake.version != kOfTheStandard) {
        return {};
    }
    protocol::DeflateAgreement agreement;
    const bool barred = must_not_compress(r);
    if (!barred) {
        agreement = protocol::agree_on_deflate(protocol::parse_extension_list(offered), policy);
    }
    const std::string words = protocol::describe(agreement.settings);
    ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, "WS0310: compression: %s was offered, %s%s",
                  printable(r->pool, offered), barred ? "this client gets " : "agreed on ",
                  words.c_str());
    if (agreement.settings.agreed()) {
        apr_table_set(r->subprocess_env, "WEBSOCKET_DEFLATE", words.c_str());
    }
    return agreement;
}

void set_extensions_header(request_rec* r, const protocol::DeflateAgreement& agreement) {
    if (!agreement.response.empty()) {
        apr_table_set(r->headers_out, "Sec-WebSocket-Extensions", agreement.response.c_str());
    }
}

void set_accepting_headers(request_rec* r, const Handshake& handshake) {
    apr_table_clear(r->headers_out);
    apr_table_setn(r->headers_out, "Upgrade", "websocket");
    apr_table_setn(r->headers_out, "Connection", "Upgrade");
    apr_table_set(r->headers_out, "Sec-WebSocket-Accept",
                  protocol::accept_value(handshake.key).c_str());
}

}  // namespace websocket::httpd
