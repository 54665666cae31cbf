// SPDX-License-Identifier: Apache-2.0
#include "httpd/log/log_values.hpp"

#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>
#include <unistd.h>

#include "httpd/takeover/takeover.hpp"
#include "httpd/tunnel/tunnel_attempt.hpp"

namespace websocket::httpd {

namespace {

/// Headers of the 101 may stand in either table.
const char* response_header(const request_rec* r, const char* name) {
    if (const TunnelAttempt* attempt = attempt_of(r); attempt != nullptr && attempt->taken) {
        return attempt->response_header(name);  // httpd has forgotten them
    }
    const char* value = apr_table_get(r->headers_out, name);
    return value != nullptr ? value : apr_table_get(r->err_headers_out, name);
}

const char* backend_of(const request_rec* r) {
    const TunnelAttempt* attempt = attempt_of(r);
    return attempt != nullptr ? attempt->url : nullptr;
}

const char* text_of(request_rec* r, const LogItem& item, engine::ConnectionId id) {
    const char* name = item.argument.c_str();
    switch (item.field) {
        case LogField::client_address: return r->useragent_ip;
        case LogField::peer_address: return r->connection->client_ip;
        case LogField::local_address: return r->connection->local_ip;
        case LogField::remote_host: return ap_get_useragent_host(r, REMOTE_NAME, nullptr);
        case LogField::user: return r->user;
        case LogField::path: return r->uri;
        case LogField::query:
            return r->args != nullptr ? apr_pstrcat(r->pool, "?", r->args, nullptr) : "";
        case LogField::server_name: return r->server->server_hostname;
        case LogField::host: return ap_get_server_name(r);
        case LogField::request_header: return apr_table_get(r->headers_in, name);
        case LogField::response_header: return response_header(r, name);
        case LogField::variable: return apr_table_get(r->subprocess_env, name);
        case LogField::process_id: return apr_itoa(r->pool, ::getpid());
        case LogField::log_id: return r->log_id != nullptr ? r->log_id : r->connection->log_id;
        case LogField::id: return apr_psprintf(r->pool, "%" APR_UINT64_T_HEX_FMT, id.value());
        case LogField::subprotocol: return response_header(r, "Sec-WebSocket-Protocol");
        case LogField::extensions: return response_header(r, "Sec-WebSocket-Extensions");
        case LogField::version: return apr_table_get(r->headers_in, "Sec-WebSocket-Version");
        case LogField::transport: return name_of(transport_of(r));
        case LogField::backend: return backend_of(r);
        default: return nullptr;
    }
}

}  // namespace

std::optional<std::string_view> log_value(request_rec* r, const LogItem& item,
                                          engine::ConnectionId id) {
    const char* text = text_of(r, item, id);
    return text != nullptr ? std::optional<std::string_view>(text) : std::nullopt;
}

}  // namespace websocket::httpd
