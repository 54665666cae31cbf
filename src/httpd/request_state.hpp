// SPDX-License-Identifier: Apache-2.0
// What the module knows of a request while httpd serves it.
#pragma once

#include <httpd.h>

#include <http_config.h>

#include <new>

#include "httpd/module.hpp"

namespace websocket::httpd {

class TunnelAttempt;
struct PlainExchange;

/// In the pool of the request. [httpd worker]
struct RequestState {
    bool handshake_expected = false;    ///< of the request as the client has sent it
    bool handshake_arrived = false;     ///< at the handler
    TunnelAttempt* attempt = nullptr;   ///< what mod_proxy serves may become a tunnel of ours
    PlainExchange* exchange = nullptr;  ///< while a plugin answers what is no handshake
    bool event_stream = false;          ///< the answer is one, unless it is refused
};

/// Null when nothing is known.
[[nodiscard]] inline RequestState* find_state(const request_rec* r) noexcept {
    return static_cast<RequestState*>(ap_get_module_config(r->request_config, &websocket_module));
}

[[nodiscard]] inline RequestState& state_of(request_rec* r) noexcept {
    RequestState* state = find_state(r);
    if (state == nullptr) {
        state = new (apr_palloc(r->pool, sizeof(RequestState))) RequestState();
        ap_set_module_config(r->request_config, &websocket_module, state);
    }
    return *state;
}

/// What a line of the log calls a request that wants a connection.
[[nodiscard]] inline const char* wanted_connection(const request_rec* r) noexcept {
    const RequestState* state = find_state(r);
    return state != nullptr && state->event_stream ? "event stream" : "WebSocket handshake";
}

}  // namespace websocket::httpd
