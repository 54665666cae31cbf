// SPDX-License-Identifier: Apache-2.0
#include "httpd/handshake/plain_request.hpp"

#include <http_protocol.h>
#include <http_request.h>
#include <mod_core.h>

#include <string_view>

#include "protocol/handshake.hpp"

namespace websocket::httpd {

namespace {

constexpr std::string_view kNeedsUpgrade =
    "This is a WebSocket endpoint: it takes an opening handshake, whose headers Upgrade and "
    "Connection have to pass all proxies in between.\n";
constexpr std::string_view kNeedsConnect =
    "This is a WebSocket endpoint: over HTTP/2 it takes an extended CONNECT (RFC 8441).\n";

bool is_http2(const request_rec* r) {
    return r->connection->master != nullptr || r->proto_num >= HTTP_VERSION(2, 0);
}

int say(request_rec* r, int status, std::string_view sentence) {
    if (const int error = ap_discard_request_body(r); error != OK) {
        return error;
    }
    r->status = status;
    ap_set_content_type(r, "text/plain");
    ap_set_content_length(r, static_cast<apr_off_t>(sentence.size()));
    ap_rwrite(sentence.data(), static_cast<int>(sentence.size()), r);
    return OK;
}

}  // namespace

void name_upgrade(apr_table_t* headers) {
    apr_table_setn(headers, "Upgrade", "websocket");
    apr_table_setn(headers, "Connection", "Upgrade");
    apr_table_setn(headers, "Sec-WebSocket-Version", protocol::kSupportedVersions.data());
}

bool is_for_another(const request_rec* r) {
    return r->main != nullptr || (r->prev != nullptr && r->prev->status != HTTP_OK);
}

int answer_plain_request(request_rec* r) {
    ap_allow_standard_methods(r, REPLACE_ALLOW, M_GET, M_OPTIONS, -1);
    if (is_for_another(r)) {
        return HTTP_NOT_FOUND;
    }
    if (r->method_number == M_OPTIONS) {
        return ap_send_http_options(r);
    }
    if (r->method_number != M_GET) {
        return HTTP_METHOD_NOT_ALLOWED;
    }
    if (is_http2(r)) {
        return say(r, HTTP_BAD_REQUEST, kNeedsConnect);
    }
    if (ap_response_code_string(r, ap_index_of_response(HTTP_UPGRADE_REQUIRED)) != nullptr) {
        name_upgrade(r->err_headers_out);  // an ErrorDocument
        return HTTP_UPGRADE_REQUIRED;
    }
    name_upgrade(r->headers_out);
    return say(r, HTTP_UPGRADE_REQUIRED, kNeedsUpgrade);
}

}  // namespace websocket::httpd
