// SPDX-License-Identifier: Apache-2.0
// Taking a connection away from httpd: after the 101 the worker is free, httpd closes its own
// descriptor and recycles its pools, and a duplicate of the socket lives on in the engine.
#pragma once

#include <httpd.h>

#include <memory>
#include <string_view>

#include "httpd/takeover/handover.hpp"
#include "httpd/takeover/transport_kind.hpp"

namespace websocket::httpd {

/// The name of our own filter on connections that mod_proxy may make a tunnel of: it passes on everything.
inline constexpr std::string_view kTunnelFilter = "websocket_tunnel";

/// The name of a filter of the connection that must see the bytes; null when there is none. [httpd worker]
[[nodiscard]] const char* filter_in_the_way(conn_rec* c);

/// Why the connection cannot be taken over, for log lines; null when it can: a filter of it must see
/// the bytes, or the process ends with it. [httpd worker]
[[nodiscard]] const char* obstacle(const request_rec* r);

/// A duplicate of the connection's socket; invalid when there are too few descriptors left: a reserve
/// stays free, because httpd's own accept(2) must never fail. [httpd worker]
[[nodiscard]] base::Descriptor duplicate_socket(conn_rec* c);

/// True when `fd`, which was opened just now, leaves enough descriptors for httpd's own accept(2).
[[nodiscard]] bool leaves_reserve(int fd) noexcept;

/// Takes the TLS of a connection, for which the answer to the handshake is the last thing that httpd writes.
/// [httpd worker]
void take_tls(conn_rec* c, TakenConnection& taken);
/// Takes what httpd has read ahead, if anything. Where that cannot be had the socket is shut, which whoever
/// serves it will see. [httpd worker]
void take_early_input(conn_rec* c, TakenConnection& taken);

/// When the access log has been written, httpd neither writes to the connection nor shuts it down: it just
/// closes its descriptor. [httpd worker]
void let_go_after(request_rec* r);

/// Of what the request gets, httpd has written all that it will. [httpd worker]
void leave_http(request_rec* r);

/// Sends the 101; nothing of HTTP follows on this connection. [httpd worker]
void send_switching_protocols(request_rec* r);

/// Sends the 101 and arranges for the hand-over, which happens when httpd destroys the connection's
/// pool. Returns what the handler has to return. [httpd worker]
[[nodiscard]] int switch_protocols(request_rec* r, std::unique_ptr<Handover> handover);

}  // namespace websocket::httpd
