// SPDX-License-Identifier: Apache-2.0
#include "net/tls_client.hpp"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <new>
#include <stdexcept>
#include <utility>

namespace websocket::net {

namespace {

/// The first error of the thread's queue, which is empty afterwards.
std::string take_reason() {
    const unsigned long code = ERR_get_error();
    ERR_clear_error();
    if (code == 0) {
        return "no reason is known";
    }
    if (ERR_SYSTEM_ERROR(code)) {
        return std::strerror(ERR_GET_REASON(code));
    }
    const char* reason = ERR_reason_error_string(code);
    return reason != nullptr ? reason : "error " + std::to_string(code);
}

void require(bool done, const std::string& what) {
    if (!done) {
        throw std::runtime_error(what + ": " + take_reason());
    }
}

[[nodiscard]] bool is_address(const std::string& host) {
    std::array<std::uint8_t, sizeof(in6_addr)> address{};
    return ::inet_pton(AF_INET, host.c_str(), address.data()) == 1 ||
           ::inet_pton(AF_INET6, host.c_str(), address.data()) == 1;
}

}  // namespace

TlsClientContext::TlsClientContext(const TlsClientOptions& options)
    : context_(SSL_CTX_new(TLS_client_method())), http_(options.http) {
    SSL_CTX* context = context_.get();
    if (context == nullptr) {
        throw std::bad_alloc();
    }
    ERR_clear_error();
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_verify(context, options.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
    if (options.verify && options.ca_file.empty()) {
        require(SSL_CTX_set_default_verify_paths(context) == 1, "the system's certificates");
    } else if (options.verify) {
        require(SSL_CTX_load_verify_file(context, options.ca_file.c_str()) == 1,
                "certificates of " + options.ca_file);
    }
    if (!options.certificate_file.empty()) {
        const std::string& key =
            options.key_file.empty() ? options.certificate_file : options.key_file;
        require(SSL_CTX_use_certificate_chain_file(context, options.certificate_file.c_str()) == 1,
                "the certificate of " + options.certificate_file);
        require(SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) == 1,
                "the key of " + key);
    }
}

SslPointer TlsClientContext::make_ssl(const std::string& host) const {
    SslPointer made(SSL_new(context_.get()));
    SSL* ssl = made.get();
    if (ssl == nullptr) {
        throw std::bad_alloc();
    }
    SSL_set_connect_state(ssl);
    X509_VERIFY_PARAM* param = SSL_get0_param(ssl);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    // RFC 6066 section 3: the name of a server is no address.
    const bool named = is_address(host)
                           ? X509_VERIFY_PARAM_set1_ip_asc(param, host.c_str()) == 1
                           : X509_VERIFY_PARAM_set1_host(param, host.data(), host.size()) == 1 &&
                                 SSL_set_tlsext_host_name(ssl, host.c_str()) == 1;
    // RFC 8441 is for others: a WebSocket of ours begins with HTTP/1.1.
    constexpr std::array<unsigned char, 9> kHttp11{8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    if (!named || (http_ && SSL_set_alpn_protos(ssl, kHttp11.data(), kHttp11.size()) != 0)) {
        ERR_clear_error();
        throw std::bad_alloc();
    }
    return made;
}

TlsClientHandshake::TlsClientHandshake(SslPointer ssl, base::Descriptor socket)
    : socket_(std::move(socket)), ssl_(std::move(ssl)) {
    BIO* bio = socket_.make_bio();
    SSL_set_bio(ssl_.get(), bio, bio);
}

TlsClientHandshake::Status TlsClientHandshake::advance() {
    socket_.drained = false;
    socket_.full = false;
    ERR_clear_error();
    errno = 0;
    const int result = SSL_do_handshake(ssl_.get());
    const int broken = errno;
    if (result == 1) {
        return Status::done;
    }
    switch (SSL_get_error(ssl_.get(), result)) {
        case SSL_ERROR_WANT_READ: events_ = EPOLLIN; return Status::waiting;
        case SSL_ERROR_WANT_WRITE: events_ = EPOLLOUT; return Status::waiting;
        default: break;
    }
    if (const long verdict = SSL_get_verify_result(ssl_.get());
        verdict != X509_V_OK && SSL_get_verify_mode(ssl_.get()) != SSL_VERIFY_NONE) {
        error_ = std::string("the server's certificate is not accepted: ") +
                 X509_verify_cert_error_string(verdict);
    } else if (socket_.ended || ERR_peek_error() == 0) {
        error_ = std::string("the server ended the connection in the TLS handshake") +
                 (socket_.ended || broken == 0 ? "" : std::string(": ") + std::strerror(broken));
    } else {
        error_ = "the TLS handshake failed: " + take_reason();
    }
    ERR_clear_error();
    return Status::failed;
}

std::unique_ptr<Transport> TlsClientHandshake::release() {
    return std::make_unique<TlsTransport>(std::move(ssl_), std::move(socket_.descriptor),
                                          std::move(socket_.received));
}

}  // namespace websocket::net
