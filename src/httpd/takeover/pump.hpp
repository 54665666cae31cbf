// SPDX-License-Identifier: Apache-2.0
// Serving a connection that cannot be taken over: the handler's thread carries its bytes between
// httpd's filters and a socket of the engine, for as long as the connection lasts.
#pragma once

#include <httpd.h>

#include <memory>
#include <optional>

#include "base/descriptor.hpp"
#include "httpd/process/child.hpp"
#include "httpd/takeover/filter_stream.hpp"
#include "httpd/takeover/pump_slots.hpp"
#include "httpd/takeover/takeover.hpp"

namespace websocket::httpd {

/// Hooks. [config]
void register_pump();

/// What pumping takes; found before the handshake is answered.
struct Pump {
    PumpSlot slot;
    base::Descriptor relay_end;   ///< of a socketpair
    base::Descriptor engine_end;  ///< for TakenConnection::socket
};

/// OK, or what to answer when the connection, which has this `obstacle`, cannot be pumped; the error
/// log says why. [httpd worker]
[[nodiscard]] int prepare_pump(const request_rec* r, Child& child, const char* obstacle,
                               std::optional<Pump>& into);

/// Carries bytes between the client and the engine, which serves the pump's end of the socketpair, until the
/// end of the connection. Returns what the handler has to return. [httpd worker]
[[nodiscard]] int relay(request_rec* r, Child& child, Pump pump, FilterStream& client);

/// Sends the 101 and returns at the end of the connection, with what the handler has to return.
/// [httpd worker]
[[nodiscard]] int run_pump(request_rec* r, Child& child, Pump pump,
                           std::unique_ptr<Handover> handover);

}  // namespace websocket::httpd
