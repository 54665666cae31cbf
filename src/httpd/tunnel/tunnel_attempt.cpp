// SPDX-License-Identifier: Apache-2.0
#include "httpd/tunnel/tunnel_attempt.hpp"

#include <apr_strings.h>

#include "httpd/config/config.hpp"
#include "httpd/request_state.hpp"

namespace websocket::httpd {

namespace {

// Filters have no context of their own: connections to backends are used for one request after the other,
// by one thread after the other.
thread_local constinit TunnelAttempt* thread_candidate = nullptr;

}  // namespace

TunnelMode tunnel_mode(const request_rec* r) noexcept {
    return static_cast<TunnelMode>(config_of(r).get(Setting::tunnel));
}

TunnelAttempt::~TunnelAttempt() {
    if (thread_candidate == this) {
        thread_candidate = nullptr;
    }
}

const char* TunnelAttempt::response_header(const char* name) const {
    const protocol::ResponseHead& head = response.head();
    return head.count(name) > 0 ? apr_pstrdup(r->pool, head.list(name).c_str()) : nullptr;
}

TunnelAttempt* attempt_of(const request_rec* r) noexcept {
    const RequestState* state = find_state(r);
    return state != nullptr ? state->attempt : nullptr;
}

TunnelAttempt* candidate() noexcept { return thread_candidate; }
void set_candidate(TunnelAttempt* attempt) noexcept { thread_candidate = attempt; }

}  // namespace websocket::httpd
