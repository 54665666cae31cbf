// SPDX-License-Identifier: Apache-2.0
// A TLS client that sees its records, and the server's side of its handshake.
#pragma once

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "engine/peer.hpp"
#include "net/tls_transport.hpp"

namespace websocket::test {

using net::SslPointer;
using net::TlsTransport;

struct FreeContext {
    void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
};
using SslContext = std::unique_ptr<SSL_CTX, FreeContext>;

/// With a certificate made here, or without one.
[[nodiscard]] inline SslContext server_context() {
    SslContext context(SSL_CTX_new(TLS_server_method()));
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* certificate = X509_new();
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    ck_assert_int_ne(X509_sign(certificate, key, EVP_sha256()), 0);
    ck_assert_int_eq(SSL_CTX_use_certificate(context.get(), certificate), 1);
    ck_assert_int_eq(SSL_CTX_use_PrivateKey(context.get(), key), 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return context;
}

[[nodiscard]] inline SslContext client_context(int version) {
    SslContext context(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_min_proto_version(context.get(), version);
    SSL_CTX_set_max_proto_version(context.get(), version);
    return context;
}

/// OpenSSL between two buffers: what it reads and what it writes are strings.
class TlsEnd {
public:
    explicit TlsEnd(SslPointer ssl) : ssl_(std::move(ssl)) {
        SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
        BIO_set_mem_eof_return(SSL_get_rbio(ssl_.get()), -1);
    }

    [[nodiscard]] SSL* get() const { return ssl_.get(); }
    [[nodiscard]] SslPointer release() { return std::move(ssl_); }

    void shake_hands() {
        if (const int result = SSL_do_handshake(ssl_.get()); result != 1) {
            ck_assert_int_eq(SSL_get_error(ssl_.get(), result), SSL_ERROR_WANT_READ);
        }
    }
    /// Records from the other end.
    void feed(std::string_view records) {
        BIO_write(SSL_get_rbio(ssl_.get()), records.data(), static_cast<int>(records.size()));
    }
    /// Records for the other end.
    [[nodiscard]] std::string take() {
        char* data = nullptr;
        BIO* bio = SSL_get_wbio(ssl_.get());
        std::string records(data, 0);
        const long size = BIO_get_mem_data(bio, &data);
        records.assign(data, static_cast<std::size_t>(size));
        static_cast<void>(BIO_reset(bio));
        return records;
    }
    [[nodiscard]] std::string encrypt(std::string_view text) {
        std::size_t count = 0;
        ck_assert_int_eq(SSL_write_ex(ssl_.get(), text.data(), text.size(), &count), 1);
        return take();
    }

private:
    SslPointer ssl_;
};

/// The client's end of a connection whose handshake is done.
class TlsPeer {
public:
    TlsPeer(TlsEnd tls, Descriptor socket) : tls_(std::move(tls)), peer_(std::move(socket)) {}

    [[nodiscard]] SSL* ssl() const { return tls_.get(); }
    [[nodiscard]] Peer& tcp() { return peer_; }

    /// The records of `text`; they have to be sent in this order.
    [[nodiscard]] std::string encrypt(std::string_view text) { return tls_.encrypt(text); }
    void send(std::string_view text) { peer_.send(encrypt(text)); }

    /// The KeyUpdate that SSL_key_update() has announced, without any data.
    [[nodiscard]] std::string key_update(int type) {
        ck_assert_int_eq(SSL_key_update(ssl(), type), 1);
        ck_assert_int_eq(SSL_do_handshake(ssl()), 1);
        return tls_.take();
    }
    [[nodiscard]] std::string client_hello() {
        ck_assert_int_eq(SSL_renegotiate(ssl()), 1);
        static_cast<void>(SSL_do_handshake(ssl()));
        return tls_.take();
    }
    [[nodiscard]] std::string close_notify() {
        static_cast<void>(SSL_shutdown(ssl()));
        return tls_.take();
    }

    /// Sends `text` and meanwhile reads `count` bytes, so that neither side can block the other.
    [[nodiscard]] std::string exchange(std::string_view text, std::size_t count) {
        const std::string records = encrypt(text);
        std::string_view unsent = records;
        std::string reply;
        while (reply.size() < count) {
            unsent.remove_prefix(unsent.empty() ? 0 : peer_.send_some(unsent));
            if (unsent.empty() || peer_.readable(std::chrono::milliseconds(10))) {
                ck_assert_msg(receive_some(count - reply.size(), reply), "the end came too early");
            }
        }
        return reply;
    }
    /// Waits for `count` bytes; fewer at the end of the stream.
    [[nodiscard]] std::string receive(std::size_t count) {
        std::string text;
        while (text.size() < count && receive_some(count - text.size(), text)) {
        }
        return text;
    }
    void expect(std::string_view text) {
        const std::string got = receive(text.size());
        ck_assert_msg(got == text, "got %zu bytes \"%.60s\", not %zu \"%.60s\"", got.size(),
                      got.c_str(), text.size(), std::string(text).c_str());
    }
    /// The server's close_notify, or whatever else makes SSL_read end with `error`.
    void expect_end(int error = SSL_ERROR_ZERO_RETURN) {
        ck_assert(receive(1).empty());
        ck_assert_int_eq(error_, error);
    }
    /// What the socket holds now, as it is; it is not decrypted afterwards.
    [[nodiscard]] std::string receive_records() { return peer_.receive_some(); }
    void take_records(std::string_view records) { tls_.feed(records); }

private:
    bool receive_some(std::size_t most, std::string& into) {
        std::string buffer(std::min<std::size_t>(most, SSL3_RT_MAX_PLAIN_LENGTH), '\0');
        for (;;) {
            std::size_t count = 0;
            ERR_clear_error();
            if (SSL_read_ex(ssl(), buffer.data(), buffer.size(), &count) == 1) {
                into.append(buffer, 0, count);
                return true;
            }
            error_ = SSL_get_error(ssl(), 0);
            if (error_ != SSL_ERROR_WANT_READ) return false;
            if (const std::string answer = tls_.take(); !answer.empty()) peer_.send(answer);
            const std::string records = peer_.receive_some();
            if (records.empty()) {
                error_ = SSL_ERROR_SYSCALL;
                return false;
            }
            tls_.feed(records);
        }
    }

    TlsEnd tls_;
    Peer peer_;
    int error_ = SSL_ERROR_NONE;
};

/// How the two ends came to know each other.
struct TlsWiring {
    int version = TLS1_3_VERSION;
    int socket_buffer = 0;
    /// Called with the server's and the client's SSL before the handshake.
    void (*prepare)(SSL* server, SSL* client) = nullptr;
};

/// A handshake between a client and a server; then the server is somebody's who has not read yet.
struct TlsHandshake {
    explicit TlsHandshake(const TlsWiring& wiring = {}, SslContext context = server_context())
        : server(SslPointer(SSL_new(context.get()))),
          client(SslPointer(SSL_new(client_context(wiring.version).get()))),
          sockets(tcp_pair(wiring.socket_buffer)) {
        if (wiring.prepare != nullptr) wiring.prepare(server.get(), client.get());
        SSL_set_accept_state(server.get());
        SSL_set_connect_state(client.get());
        for (int flight = 0; flight < 4; ++flight) {
            client.shake_hands();
            server.feed(client.take());
            server.shake_hands();
            client.feed(server.take());
        }
        ck_assert(SSL_is_init_finished(server.get()));
        char nothing = 0;  // takes in the session tickets
        ck_assert_int_le(SSL_read(client.get(), &nothing, 1), 0);
    }

    TlsEnd server;
    TlsEnd client;
    SocketPair sockets;
};

}  // namespace websocket::test
