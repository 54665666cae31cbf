// The bytes of one connection, plain or inside TLS, with the manners of recv(2) and send(2).
#pragma once

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "net/tls_socket.hpp"

namespace websocket::bench {

class Stream {
public:
    Stream() = default;
    // Owns a non-blocking socket. `context` of the client's side of TLS, or null.
    Stream(int fd, SSL_CTX* context) : fd_(fd) {
        if (context != nullptr && fd >= 0) tls_ = std::make_unique<Tls>(context, fd);
    }
    Stream(Stream&& other) noexcept
        : fd_(std::exchange(other.fd_, -1)), tls_(std::move(other.tls_)) {}
    Stream& operator=(Stream&& other) noexcept {
        std::swap(fd_, other.fd_);
        std::swap(tls_, other.tls_);
        return *this;
    }
    ~Stream() { close(); }

    [[nodiscard]] int fd() const { return fd_; }
    [[nodiscard]] bool has_tls() const { return tls_ != nullptr; }

    // 1 when the handshake of TLS is done; else 0 for the end of the stream, or -1 and errno.
    [[nodiscard]] int shake_hands() {
        if (!tls_) return 1;
        return tls_->answer(SSL_do_handshake(tls_->begin()));
    }

    // Fewer bytes than there is room for, but some: there are no more.
    [[nodiscard]] ssize_t receive(std::span<char> into) {
        if (!tls_) return recv(fd_, into.data(), into.size(), 0);
        SSL* ssl = tls_->begin();
        std::size_t got = 0;
        while (got < into.size()) {
            std::size_t more = 0;
            const int result = SSL_read_ex(ssl, into.data() + got, into.size() - got, &more);
            if (result != 1) return got > 0 ? static_cast<ssize_t>(got) : tls_->answer(result);
            got += more;
            if (tls_->socket.drained && SSL_has_pending(ssl) == 0) break;
        }
        return static_cast<ssize_t>(got);
    }

    // The same, but nobody looks at the bytes: without TLS the kernel throws them away.
    [[nodiscard]] ssize_t discard(std::size_t most, std::span<char> scratch) {
        if (!tls_) return recv(fd_, nullptr, most, MSG_TRUNC);
        return receive(scratch.first(std::min(most, scratch.size())));
    }

    [[nodiscard]] ssize_t send(std::string_view bytes) {
        if (!tls_) return ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (const int flushed = flush(); flushed != 1) return flushed;
        tls_->unsent = bytes.substr(0, SSL3_RT_MAX_PLAIN_LENGTH);
        const auto taken = static_cast<ssize_t>(tls_->unsent.size());
        return flush() == 1 || errno == EAGAIN ? taken : -1;
    }

    // Sends what TLS has kept, since it cannot take back a record: 1, or -1 and errno.
    [[nodiscard]] int flush() {
        if (!tls_ || tls_->unsent.empty()) return 1;
        std::size_t sent = 0;
        SSL* ssl = tls_->begin();
        const int result = SSL_write_ex(ssl, tls_->unsent.data(), tls_->unsent.size(), &sent);
        if (result == 1) tls_->unsent.clear();
        return tls_->answer(result);
    }

    void close() {
        if (tls_ && tls_->unsent.empty()) SSL_shutdown(tls_->begin());
        if (!tls_ && fd_ >= 0) ::close(fd_);
        tls_.reset();
        fd_ = -1;
    }

private:
    struct Tls {
        net::TlsSocket socket;
        std::unique_ptr<SSL, decltype(&SSL_free)> ssl;
        std::string unsent;

        Tls(SSL_CTX* context, int fd)
            : socket(base::Descriptor(fd)), ssl(SSL_new(context), SSL_free) {
            BIO* bio = socket.make_bio();
            SSL_set_bio(ssl.get(), bio, bio);
            SSL_set_connect_state(ssl.get());
        }
        SSL* begin() {
            ERR_clear_error();
            socket.drained = socket.full = false;
            return ssl.get();
        }
        int answer(int result) {
            if (result == 1) return 1;
            switch (SSL_get_error(ssl.get(), result)) {
                case SSL_ERROR_WANT_READ:
                case SSL_ERROR_WANT_WRITE: errno = EAGAIN; return -1;
                case SSL_ERROR_ZERO_RETURN: return 0;
                case SSL_ERROR_SYSCALL: return -1;
                default: errno = EPROTO; return -1;
            }
        }
    };

    int fd_ = -1;
    std::unique_ptr<Tls> tls_;
};

}  // namespace websocket::bench
