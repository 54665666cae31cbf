// SPDX-License-Identifier: Apache-2.0
// A request to mod_proxy that may become a tunnel: what has to be known and held until its backend answers.
#pragma once

#include <httpd.h>

#include <optional>

#include "engine/engine.hpp"
#include "engine/tunnel.hpp"
#include "httpd/config/directives.hpp"
#include "httpd/config/endpoints.hpp"
#include "httpd/handshake/connection_caps.hpp"
#include "protocol/response_head.hpp"

namespace websocket::httpd {

class Child;

/// WebSocketTunnel, as it applies to a request. [httpd worker]
[[nodiscard]] TunnelMode tunnel_mode(const request_rec* r) noexcept;

/// In the pool of its request, and destroyed with it. All happens on the thread that serves the request.
/// [httpd worker]
class TunnelAttempt {
public:
    using Place = engine::Engine::PlaceOf<engine::Tunnel>;

    TunnelAttempt(request_rec* request, Child& of_child, const Endpoint& settings, Place reserved,
                  CapLeases held) noexcept
        : r(request), child(of_child), endpoint(settings), place(std::move(reserved)),
          leases(std::move(held)) {}
    TunnelAttempt(const TunnelAttempt&) = delete;
    TunnelAttempt& operator=(const TunnelAttempt&) = delete;
    ~TunnelAttempt();

    request_rec* const r;
    Child& child;
    const Endpoint& endpoint;
    std::optional<Place> place;  ///< until it is taken over
    CapLeases leases;

    /// There will be no tunnel: its place is free for another one.
    void give_up() noexcept {
        place.reset();
        leases = {};
    }
    /// A header of the 101, null if there is none. Throws std::bad_alloc.
    [[nodiscard]] const char* response_header(const char* name) const;

    // What mod_proxy does about it; it may try several backends.
    conn_rec* backend = nullptr;  ///< to which the request was sent; null: to none
    apr_size_t* busy = nullptr;   ///< of the member of a balancer; null: there is none
    const char* url = nullptr;    ///< of the worker, as logs call the backend; null: not known
    bool half_close = true;       ///< the administrator allows it
    protocol::ResponseHeadParser response;  ///< of the 101, as it is sent to the client
    bool taken = false;
};

/// The attempt of a request; null when there is none. [httpd worker]
[[nodiscard]] TunnelAttempt* attempt_of(const request_rec* r) noexcept;

/// That whose backend has got the request and has not answered yet, of this thread; null when there is none.
/// [httpd worker]
[[nodiscard]] TunnelAttempt* candidate() noexcept;
void set_candidate(TunnelAttempt* attempt) noexcept;

}  // namespace websocket::httpd
