// SPDX-License-Identifier: Apache-2.0
#include "httpd/handshake/response_headers.hpp"

#include <apr_strings.h>
#include <http_log.h>

#include <cstring>
#include <span>

#include "httpd/handshake/request_snapshot.hpp"
#include "httpd/log/log.hpp"
#include "httpd/module.hpp"
#include "protocol/response_header.hpp"

namespace websocket::httpd {

namespace {

using protocol::HeaderFault;

constexpr const char* kSubprotocol = "Sec-WebSocket-Protocol";

const char* copy(request_rec* r, std::string_view text) {
    return apr_pstrmemdup(r->pool, text.data(), text.size());
}

void tell(request_rec* r, std::string_view name, std::string_view value, const char* why) {
    log_limited(r, APLOG_ERR, "WS0105: response header %s: %s of the plugin left out: %s",
                printable(r->pool, copy(r, name)), printable(r->pool, copy(r, value)), why);
}

std::span<const apr_table_entry_t> entries_of(const apr_table_t* table) {
    const apr_array_header_t* rows = apr_table_elts(table);
    return {reinterpret_cast<const apr_table_entry_t*>(rows->elts),
            static_cast<std::size_t>(rows->nelts)};
}

/// Those of headers_out that are reserved, or the others.
apr_table_t* headers_of(const request_rec* r, bool reserved) {
    apr_table_t* headers = apr_table_make(r->pool, 8);
    for (const apr_table_entry_t& entry : entries_of(r->headers_out)) {
        if (protocol::is_reserved_header(entry.key) == reserved) {
            apr_table_addn(headers, entry.key, entry.val);
        }
    }
    return headers;
}

}  // namespace

bool set_plugin_header(request_rec* r, std::string_view name, std::string_view value,
                       bool beside_others) {
    if (const HeaderFault fault = protocol::fault_of_header(name, value);
        fault != HeaderFault::none) {
        tell(r, name, value, protocol::describe(fault));
        return false;
    }
    const auto put = beside_others ? apr_table_addn : apr_table_setn;
    put(r->headers_out, copy(r, name), copy(r, value));
    return true;
}

bool set_subprotocol(request_rec* r, const RequestSnapshot& offer, std::string_view name) {
    if (!offer.offers_subprotocol(name)) {
        tell(r, kSubprotocol, name, "the client has not offered it");
        return false;
    }
    apr_table_setn(r->headers_out, kSubprotocol, copy(r, name));
    return true;
}

void adopt_plugin_headers(request_rec* r, const RequestSnapshot& offer, const apr_table_t* wanted) {
    const apr_table_t* before = r->headers_out;
    r->headers_out = headers_of(r, true);
    for (const apr_table_entry_t& entry : entries_of(wanted)) {
        if (entry.key == nullptr || entry.val == nullptr) {
            continue;
        }
        if (protocol::is_reserved_header(entry.key)) {
            const char* ours = apr_table_get(before, entry.key);
            if (ours != nullptr && std::strcmp(ours, entry.val) == 0) {
                continue;  // as it was when the copy was made
            }
            if (base::equals_ignoring_case(entry.key, kSubprotocol)) {
                set_subprotocol(r, offer, entry.val);
                continue;
            }
        }
        if (const HeaderFault fault = protocol::fault_of_header(entry.key, entry.val);
            fault != HeaderFault::none) {
            tell(r, entry.key, entry.val, protocol::describe(fault));
            continue;
        }
        apr_table_add(r->headers_out, entry.key, entry.val);  // there may be two Set-Cookie
    }
}

void drop_accepting_headers(request_rec* r) { r->headers_out = headers_of(r, false); }

}  // namespace websocket::httpd
