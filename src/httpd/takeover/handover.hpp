// SPDX-License-Identifier: Apache-2.0
// The end of a connection in httpd, which is its beginning in the engine.
#pragma once

#include <httpd.h>

#include <memory>

#include "base/descriptor.hpp"
#include "engine/engine.hpp"
#include "httpd/takeover/held_sockets.hpp"
#include "net/tls_transport.hpp"

namespace websocket::httpd {

/// What becomes of the connection once httpd has let go of it.
struct Handover {
    engine::Engine* engine;
    engine::Engine::Place place;
    base::Descriptor socket;
    std::unique_ptr<engine::Session> session;
    const engine::ConnectionOptions* options;
    unsigned version;
    base::ByteBuffer early_input = {};

    net::SslPointer ssl = {};             ///< null on a plain connection
    base::ByteBuffer early_records = {};  ///< received, but not given to `ssl`
    bool tls_ended = false;               ///< the client has sent its close_notify
};

/// Makes the hooks known by which the module follows every connection of httpd. [config]
void register_connection_hooks();

/// The connection's TLS, whose owner mod_ssl stays for now. Null on a plain one, and where it
/// cannot be taken away: then `ssl/tls filter` is in the way. [httpd worker]
[[nodiscard]] SSL* tls_of(conn_rec* c);

/// Until httpd destroys the TCP connection of `c`, which may be a stream of it, `sockets` has it.
/// False without a descriptor or memory. [httpd worker]
[[nodiscard]] bool hold_socket(conn_rec* c, HeldSockets& sockets) noexcept;

/// Gives the connection to the engine. [httpd worker]
void adopt(std::unique_ptr<Handover> handover, conn_rec* c);

/// Does so as soon as httpd destroys the connection's pool and nothing of httpd can touch it any
/// more. [httpd worker]
void hand_over_later(conn_rec* c, std::unique_ptr<Handover> handover);

}  // namespace websocket::httpd
