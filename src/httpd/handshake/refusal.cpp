// SPDX-License-Identifier: Apache-2.0
#include "httpd/handshake/refusal.hpp"

#include "httpd/log/log.hpp"
#include "httpd/module.hpp"

namespace websocket::httpd {

int unavailable(request_rec* r, const char* why, int level) {
    log_limited(r, level, "WS0106: WebSocket handshake refused with 503: %s", why);
    apr_table_clear(r->headers_out);
    return HTTP_SERVICE_UNAVAILABLE;
}

int ask_to_come_again(request_rec* r) {
    const int status = unavailable(
        r, "this child is stopping; the client is told to close the connection and to come again",
        APLOG_INFO);
    apr_table_setn(r->err_headers_out, "Retry-After", "1");
    return status;
}

}  // namespace websocket::httpd
