// SPDX-License-Identifier: Apache-2.0
#include "httpd/handshake/refusal.hpp"

#include "httpd/handshake/connection_caps.hpp"
#include "httpd/handshake/opening_handshake.hpp"
#include "httpd/log/log.hpp"
#include "httpd/module.hpp"
#include "httpd/request_state.hpp"

namespace websocket::httpd {

namespace {

const char* kind_of(const request_rec* r) {
    const RequestState* state = find_state(r);
    const bool stream = state != nullptr && state->event_stream;
    return stream || is_handshake(r) ? wanted_connection(r) : "request";
}

}  // namespace

int unavailable(request_rec* r, const char* why, int level) {
    log_limited(r, level, "WS0106: %s refused with 503: %s", kind_of(r), why);
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

int refuse_place(request_rec* r, engine::Refusal why, std::uint32_t open) {
    switch (why) {
        case engine::Refusal::too_many_connections: return refuse_for_child_cap(r, open);
        case engine::Refusal::no_resources: break;
        case engine::Refusal::hanging:
            return unavailable(r, "all event loops of this child hang (see WS0306)");
        case engine::Refusal::stopping: return ask_to_come_again(r);
    }
    return unavailable(r, "out of memory, descriptors or threads");
}

int refuse_fork(request_rec* r) {
    log_limited(r, APLOG_ERR,
                "WS0124: %s refused with 501: this process was forked from one that serves "
                "WebSockets, whose threads have stayed there",
                kind_of(r));
    return HTTP_NOT_IMPLEMENTED;
}

}  // namespace websocket::httpd
