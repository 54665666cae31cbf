// SPDX-License-Identifier: Apache-2.0
#include "httpd/handshake/lost_handshake.hpp"

#include <http_config.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>

#include <string_view>

#include "httpd/config/config.hpp"
#include "httpd/handshake/handler.hpp"
#include "httpd/handshake/opening_handshake.hpp"
#include "httpd/log/log.hpp"
#include "httpd/module.hpp"
#include "httpd/request_state.hpp"

namespace websocket::httpd {

namespace {

/// The sections are known, and nothing has looked for another file or handler yet.
int expect(request_rec* r) {
    if (config_of(r).plugin != nullptr && wants_upgrade(r)) {
        state_of(r).handshake_expected = true;
    }
    return DECLINED;
}

/// Whoever refuses a request before it has a handler has its reasons, and says them itself. The
/// handler of files has no name.
bool was_taken(const request_rec* r) {
    const bool elsewhere = r->handler != nullptr && r->handler != kHandlerName;
    return elsewhere || r->status < HTTP_BAD_REQUEST || r->status == HTTP_NOT_FOUND ||
           r->status == HTTP_METHOD_NOT_ALLOWED;
}

int report(request_rec* r) {
    const RequestState* state = find_state(r);
    if (state == nullptr || !state->handshake_expected || state->handshake_arrived) {
        return DECLINED;
    }
    const request_rec* last = r;
    while (last->next != nullptr) {
        last = last->next;  // redirected inside httpd
    }
    if (was_taken(last)) {
        log_limited(r, APLOG_INFO,
                    "WS0116: the WebSocket handshake for %s did not come to the plugin of its "
                    "section: answered with %d by handler %s, file %s",
                    printable(r->pool, r->uri), last->status, printable(r->pool, last->handler),
                    printable(r->pool, last->filename));
    }
    return DECLINED;
}

}  // namespace

void note_arrival(request_rec* r) noexcept {
    while (r->prev != nullptr) {
        r = r->prev;
    }
    if (RequestState* state = find_state(r)) {
        state->handshake_arrived = true;
    }
}

void register_lost_handshakes() {
    ap_hook_header_parser(expect, nullptr, nullptr, APR_HOOK_FIRST);
    ap_hook_log_transaction(report, nullptr, nullptr, APR_HOOK_MIDDLE);
}

}  // namespace websocket::httpd
