// SPDX-License-Identifier: Apache-2.0
// Taking a connection away from httpd: after the 101 the worker is free, httpd closes its own
// descriptor and recycles its pools, and a duplicate of the socket lives on in the engine.
#pragma once

#include <httpd.h>

#include <memory>

#include "httpd/takeover/handover.hpp"
#include "httpd/takeover/transport_kind.hpp"

namespace websocket::httpd {

/// Why the connection cannot be taken over, for log lines; null when it can: a filter of it must see
/// the bytes, or the process ends with it. [httpd worker]
[[nodiscard]] const char* obstacle(const request_rec* r);

/// A duplicate of the client's socket; invalid when there are too few descriptors left: a reserve
/// stays free, because httpd's own accept(2) must never fail. [httpd worker]
[[nodiscard]] base::Descriptor duplicate_socket(const request_rec* r);

/// True when `fd`, which was opened just now, leaves enough descriptors for httpd's own accept(2).
[[nodiscard]] bool leaves_reserve(int fd) noexcept;

/// Sends the 101; nothing of HTTP follows on this connection. [httpd worker]
void send_switching_protocols(request_rec* r);

/// Sends the 101 and arranges for the hand-over, which happens when httpd destroys the connection's
/// pool. Returns what the handler has to return. [httpd worker]
[[nodiscard]] int switch_protocols(request_rec* r, std::unique_ptr<Handover> handover);

}  // namespace websocket::httpd
