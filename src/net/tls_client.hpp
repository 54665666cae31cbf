// SPDX-License-Identifier: Apache-2.0
// The client's side of TLS: what is trusted, and the handshake.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <string>

#include "base/descriptor.hpp"
#include "net/tls_socket.hpp"
#include "net/tls_transport.hpp"
#include "net/transport.hpp"

namespace websocket::net {

struct TlsClientOptions {
    bool verify = true;                 ///< the server's certificate, and that it is for its host
    std::string ca_file = {};           ///< PEM: who is trusted; empty: whom the system trusts
    std::string certificate_file = {};  ///< PEM: of the client, with its chain; empty: none
    std::string key_file = {};          ///< PEM; empty: it is in certificate_file
    bool http = true;                   ///< says by ALPN that HTTP/1.1 follows
};

/// What connections of one client have in common. TLS 1.2 and 1.3. [any thread]
class TlsClientContext {
public:
    /// Reads the files. Throws std::runtime_error, which names the one that is wrong, and std::bad_alloc.
    explicit TlsClientContext(const TlsClientOptions& options);

    /// For a connection to this host, a name or an address in numbers. Throws std::bad_alloc.
    [[nodiscard]] SslPointer make_ssl(const std::string& host) const;

private:
    struct FreeContext {
        void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
    };
    std::unique_ptr<SSL_CTX, FreeContext> context_;
    const bool http_;
};

/// The handshake on one connection. [loop]
class TlsClientHandshake {
public:
    enum class Status : std::uint8_t { waiting, done, failed };

    /// `ssl` is of TlsClientContext::make_ssl(), the socket connected and not blocking. Throws std::bad_alloc.
    TlsClientHandshake(SslPointer ssl, base::Descriptor socket);
    TlsClientHandshake(const TlsClientHandshake&) = delete;
    TlsClientHandshake& operator=(const TlsClientHandshake&) = delete;

    /// At first, and whenever the descriptor is ready for poll_events(). Throws std::bad_alloc.
    Status advance();

    [[nodiscard]] int descriptor() const noexcept { return socket_.descriptor.get(); }
    /// While it waits.
    [[nodiscard]] std::uint32_t poll_events() const noexcept { return events_; }
    /// When failed: for people, on one line.
    [[nodiscard]] const std::string& error() const noexcept { return error_; }
    /// When done; this is of no use afterwards. Throws std::bad_alloc.
    [[nodiscard]] std::unique_ptr<Transport> release();

private:
    TlsSocket socket_;
    SslPointer ssl_;
    std::uint32_t events_ = 0;
    std::string error_;
};

}  // namespace websocket::net
