// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "net/tls_client.hpp"

#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>

#include <array>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "engine/tls_peer.hpp"
#include "temporary_folder.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::net::IoStatus;
using websocket::net::TlsClientContext;
using websocket::net::TlsClientHandshake;
using websocket::net::TlsClientOptions;
using websocket::net::Transport;
using Status = TlsClientHandshake::Status;

namespace {

/// A server with a certificate that signs itself and is good for these names.
SslContext server_for(const char* names) {
    SslContext context = server_context();
    X509* certificate = X509_dup(SSL_CTX_get0_certificate(context.get()));
    EVP_PKEY* key = SSL_CTX_get0_privatekey(context.get());
    X509_set_version(certificate, 2);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    X509_EXTENSION* alternative =
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names);
    X509_add_ext(certificate, alternative, -1);
    X509_EXTENSION_free(alternative);
    ck_assert_int_ne(X509_sign(certificate, key, EVP_sha256()), 0);
    ck_assert_int_eq(SSL_CTX_use_certificate(context.get(), certificate), 1);
    X509_free(certificate);
    return context;
}

/// A file with PEM in it, which goes with this.
class PemFile {
public:
    explicit PemFile(SSL_CTX* context) {
        std::FILE* file = std::fopen(name_.c_str(), "w");
        ck_assert_ptr_nonnull(file);
        PEM_write_X509(file, SSL_CTX_get0_certificate(context));
        PEM_write_PrivateKey(file, SSL_CTX_get0_privatekey(context), nullptr, nullptr, 0, nullptr,
                             nullptr);
        std::fclose(file);
    }
    [[nodiscard]] const std::string& name() const { return name_; }

private:
    const TemporaryFolder folder_;
    const std::string name_ = folder_.path() + "/pem";
};

/// A handshake with a server that is driven here.
struct Shaking {
    Shaking(const TlsClientOptions& options, const std::string& host, SSL_CTX* context)
        : sockets(tcp_pair()), server(SslPointer(SSL_new(context))),
          peer(std::move(sockets.server)), handshake(make(options, host)) {
        SSL_set_accept_state(server.get());
    }
    std::unique_ptr<TlsClientHandshake> make(const TlsClientOptions& options,
                                             const std::string& host) {
        ck_assert_int_eq(::fcntl(sockets.client.get(), F_SETFL, O_NONBLOCK), 0);
        return std::make_unique<TlsClientHandshake>(TlsClientContext(options).make_ssl(host),
                                                    std::move(sockets.client));
    }
    /// To the end, whatever that is.
    Status run() {
        for (;;) {
            if (const Status status = handshake->advance(); status != Status::waiting)
                return status;
            if (const std::string flight = peer.receive_some(); flight.empty()) {
                continue;
            } else {
                server.feed(flight);
            }
            server.shake_hands();
            peer.send(server.take());
            pollfd poll{handshake->descriptor(), POLLIN, 0};
            ck_assert_int_eq(::poll(&poll, 1, 20'000), 1);
        }
    }

    SocketPair sockets;
    TlsEnd server;
    Peer peer;
    std::unique_ptr<TlsClientHandshake> handshake;
};

const char* error_of(const Shaking& shaking) { return shaking.handshake->error().c_str(); }

void expect_refusal(const TlsClientOptions& options, const char* what) {
    try {
        const TlsClientContext context(options);
        ck_abort_msg("%s was taken", what);
    } catch (const std::runtime_error& refused) {
        ck_assert_msg(std::string_view(refused.what()).find(what) != std::string_view::npos, "%s",
                      refused.what());
    }
}

}  // namespace

START_TEST(names_the_file_that_it_cannot_read) {
    expect_refusal({.ca_file = "/nowhere/ca.pem"}, "certificates of /nowhere/ca.pem: No such file");
    expect_refusal({.certificate_file = "/nowhere/mine.pem"},
                   "the certificate of /nowhere/mine.pem");
    const SslContext context = server_context();
    const PemFile file(context.get());
    expect_refusal({.certificate_file = file.name(), .key_file = "/nowhere/key"},
                   "the key of /nowhere/key: No such file");
    const SslContext other = server_context();
    const PemFile others(other.get());
    expect_refusal({.certificate_file = file.name(), .key_file = others.name()},
                   "key values mismatch");
}
END_TEST

START_TEST(refuses_a_certificate_that_nobody_has_signed) {
    const SslContext context = server_for("DNS:localhost");
    Shaking shaking({}, "localhost", context.get());
    ck_assert(shaking.run() == Status::failed);
    ck_assert_str_eq(error_of(shaking),
                     "the server's certificate is not accepted: self-signed certificate");
}
END_TEST

START_TEST(refuses_a_certificate_of_another_host) {
    const SslContext context = server_for("DNS:example.com,IP:127.0.0.2");
    const PemFile trusted(context.get());
    for (const char* host : {"localhost", "127.0.0.1", "www.example.com"}) {
        Shaking shaking({.ca_file = trusted.name()}, host, context.get());
        ck_assert(shaking.run() == Status::failed);
        ck_assert_msg(shaking.handshake->error().find("mismatch") != std::string::npos, "%s",
                      error_of(shaking));
    }
}
END_TEST

START_TEST(says_that_the_other_side_speaks_no_tls) {
    const SslContext context = server_context();
    Shaking shaking({.verify = false}, "localhost", context.get());
    ck_assert(shaking.handshake->advance() == Status::waiting);
    shaking.peer.send("HTTP/1.1 400 Bad Request\r\n\r\n");
    pollfd poll{shaking.handshake->descriptor(), POLLIN, 0};
    ck_assert_int_eq(::poll(&poll, 1, 20'000), 1);
    ck_assert(shaking.handshake->advance() == Status::failed);
    ck_assert_str_eq(error_of(shaking), "the TLS handshake failed: wrong version number");
}
END_TEST

START_TEST(says_that_the_other_side_has_gone) {
    const SslContext context = server_context();
    Shaking shaking({.verify = false}, "localhost", context.get());
    ck_assert(shaking.handshake->advance() == Status::waiting);
    static_cast<void>(shaking.peer.receive_some());
    shaking.peer.disconnect();
    pollfd poll{shaking.handshake->descriptor(), POLLIN, 0};
    ck_assert_int_eq(::poll(&poll, 1, 20'000), 1);
    ck_assert(shaking.handshake->advance() == Status::failed);
    ck_assert_msg(std::string_view(error_of(shaking))
                      .starts_with("the server ended the connection in the TLS handshake"),
                  "%s", error_of(shaking));
}
END_TEST

START_TEST(carries_data_when_the_certificate_is_trusted_or_not_looked_at) {
    const SslContext context = server_for("DNS:localhost,IP:127.0.0.1");
    const PemFile trusted(context.get());
    const std::array<std::pair<TlsClientOptions, const char*>, 3> ways{
        std::pair(TlsClientOptions{.ca_file = trusted.name()}, "localhost"),
        {{.ca_file = trusted.name()}, "127.0.0.1"},
        {{.verify = false}, "somewhere.else"}};
    for (const auto& [options, host] : ways) {
        Shaking shaking(options, host, context.get());
        ck_assert_msg(shaking.run() == Status::done, "%s", error_of(shaking));
        const std::unique_ptr<Transport> transport = shaking.handshake->release();
        shaking.handshake.reset();
        const iovec part{const_cast<char*>("question"), 8};
        ck_assert_uint_eq(transport->write({&part, 1}).count, 8);
        char text[8];
        while (SSL_read(shaking.server.get(), text, sizeof text) != sizeof text) {
            shaking.server.feed(shaking.peer.receive_some());
        }
        ck_assert(std::string_view(text, sizeof text) == "question");
        shaking.peer.send(shaking.server.take() + shaking.server.encrypt("answer"));
        std::string answer;
        while (answer.size() < 6) {
            pollfd poll{transport->descriptor(), POLLIN, 0};
            if (!transport->pending()) ck_assert_int_eq(::poll(&poll, 1, 20'000), 1);
            std::array<std::uint8_t, 100> buffer;
            const auto result = transport->read(buffer);
            ck_assert(result.status == IoStatus::done || result.status == IoStatus::would_block);
            if (result.status == IoStatus::done) {
                answer += text_of(std::span(buffer).first(result.count));
            }
        }
        ck_assert_str_eq(answer.c_str(), "answer");
    }
}
END_TEST

WEBSOCKET_TEST_SUITE(tls_client) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, names_the_file_that_it_cannot_read);
    tcase_add_test(tests, refuses_a_certificate_that_nobody_has_signed);
    tcase_add_test(tests, refuses_a_certificate_of_another_host);
    tcase_add_test(tests, says_that_the_other_side_speaks_no_tls);
    tcase_add_test(tests, says_that_the_other_side_has_gone);
    tcase_add_test(tests, carries_data_when_the_certificate_is_trusted_or_not_looked_at);
}
