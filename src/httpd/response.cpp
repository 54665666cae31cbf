// SPDX-License-Identifier: Apache-2.0
#include "httpd/response.hpp"

#include <apr_strings.h>
#include <http_protocol.h>

#include <algorithm>
#include <cstring>
#include <string>

namespace websocket::httpd {

void set_status(request_rec* r, int status) {
    r->status = status;
    if (std::strncmp(ap_get_status_line(status), std::to_string(status).c_str(), 3) != 0) {
        const char* word = status < HTTP_MULTIPLE_CHOICES ? "Done" : "Refused";
        r->status_line = apr_psprintf(r->pool, "%d %s", status, word);
    }
}

void keep_headers_with_page(request_rec* r) {
    r->err_headers_out = apr_table_overlay(r->pool, r->err_headers_out, r->headers_out);
}

void write_all(request_rec* r, const char* bytes, std::size_t size) {
    constexpr std::size_t kMax = std::size_t{1} << 30;  // ap_rwrite() counts in an int
    while (size > 0) {
        const std::size_t part = std::min(size, kMax);
        if (ap_rwrite(bytes, static_cast<int>(part), r) < 0) {
            return;  // the client is gone
        }
        bytes += part;
        size -= part;
    }
}

}  // namespace websocket::httpd
