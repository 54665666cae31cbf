// SPDX-License-Identifier: Apache-2.0
// The end of a connection in httpd, which is its beginning in the engine.
#pragma once

#include <httpd.h>

#include <memory>
#include <utility>

#include "base/byte_buffer.hpp"
#include "base/descriptor.hpp"
#include "engine/engine.hpp"
#include "httpd/takeover/held_sockets.hpp"
#include "net/tls_transport.hpp"

namespace websocket::httpd {

/// What is taken from a connection of httpd.
struct TakenConnection {
    base::Descriptor socket = {};
    net::SslPointer ssl = {};  ///< null on a plain connection
    base::ByteBuffer early_input = {};
    base::ByteBuffer early_records = {};  ///< received, but not given to `ssl`
    bool tls_ended = false;               ///< the peer has sent its close_notify
};

/// Once httpd has let go of the connection, whose early input stays where it is. Throws std::bad_alloc.
/// [httpd worker]
[[nodiscard]] net::AnyTransport make_transport(TakenConnection& taken);

/// What goes on with connections of httpd when httpd has let go of them all.
class Successor {
public:
    Successor() = default;
    Successor(const Successor&) = delete;
    Successor& operator=(const Successor&) = delete;
    virtual ~Successor() = default;

    /// `c` is the last one of them, whose pool is being destroyed: nothing of httpd can touch them any more.
    /// [httpd worker]
    virtual void take_over(conn_rec* c) noexcept = 0;
};

/// A client's connection, which becomes a WebSocket.
class Handover final : public Successor {
public:
    Handover(engine::Engine& engine, engine::Engine::Place reserved, base::Descriptor socket,
             const engine::ConnectionOptions& options, unsigned version) noexcept
        : place(std::move(reserved)), taken{.socket = std::move(socket)}, engine_(engine),
          options_(options), version_(version) {}

    void take_over(conn_rec* c) noexcept override;

    engine::Engine::Place place;
    std::unique_ptr<engine::Session> session;
    TakenConnection taken;

private:
    engine::Engine& engine_;
    const engine::ConnectionOptions& options_;
    const unsigned version_;
};

/// Makes the hooks known by which the module follows every connection of httpd. [config]
void register_connection_hooks();

/// The connection's TLS, whose owner mod_ssl stays for now. Null on a plain one, and where it
/// cannot be taken away: then `ssl/tls filter` is in the way. [httpd worker]
[[nodiscard]] SSL* tls_of(conn_rec* c);

/// Until httpd destroys the TCP connection of `c`, which may be a stream of it, `sockets` has it.
/// False without a descriptor or memory. [httpd worker]
[[nodiscard]] bool hold_socket(conn_rec* c, HeldSockets& sockets) noexcept;

/// Has `successor` take over when httpd has destroyed the pools of this connection and of all others for
/// which the same was said. [httpd worker]
void hand_over_later(conn_rec* c, std::shared_ptr<Successor> successor);

/// Has mod_ssl drop its reference to what tls_of() returned, without a word to the peer. [httpd worker]
void end_tls(conn_rec* c) noexcept;

}  // namespace websocket::httpd
