// SPDX-License-Identifier: Apache-2.0
#include "net/tls_socket.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <new>

#include "base/io_error.hpp"

namespace websocket::net {

namespace {

TlsSocket& socket_of(BIO* bio) { return *static_cast<TlsSocket*>(BIO_get_data(bio)); }

int read_bio(BIO* bio, char* into, std::size_t size, std::size_t* count) {
    TlsSocket& socket = socket_of(bio);
    BIO_clear_retry_flags(bio);
    if (socket.read(reinterpret_cast<std::uint8_t*>(into), size, *count)) {
        return 1;
    }
    if (socket.ended) {
        return 0;
    }
    if (socket.drained) {
        BIO_set_retry_read(bio);
    }
    return -1;  // as OpenSSL's own BIOs do, and as SSL_shutdown() wants it
}

int write_bio(BIO* bio, const char* from, std::size_t size, std::size_t* count) {
    TlsSocket& socket = socket_of(bio);
    BIO_clear_retry_flags(bio);
    if (socket.write({reinterpret_cast<const std::uint8_t*>(from), size}, *count)) {
        return 1;
    }
    if (socket.full) {
        BIO_set_retry_write(bio);
    }
    return -1;
}

long control_bio(BIO* bio, int command, long /*number*/, void* /*pointer*/) {
    switch (command) {
        case BIO_CTRL_FLUSH: return 1;  // nothing is kept here
        case BIO_CTRL_EOF: return socket_of(bio).ended ? 1 : 0;
        default: return 0;
    }
}

BIO_METHOD* make_method() {
    BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "websocket");
    if (method == nullptr) {
        throw std::bad_alloc();
    }
    BIO_meth_set_read_ex(method, read_bio);
    BIO_meth_set_write_ex(method, write_bio);
    BIO_meth_set_ctrl(method, control_bio);
    return method;
}

}  // namespace

void RecordBundle::add(std::span<const std::uint8_t> bytes) noexcept {
    std::copy(bytes.begin(), bytes.end(), std::span(bytes_).subspan(size_).begin());
    size_ += bytes.size();
}

BIO* TlsSocket::make_bio() {
    static BIO_METHOD* const method = make_method();
    BIO* bio = BIO_new(method);
    if (bio == nullptr) {
        throw std::bad_alloc();
    }
    BIO_set_data(bio, this);
    BIO_set_init(bio, 1);
    return bio;
}

bool TlsSocket::read(std::uint8_t* into, std::size_t size, std::size_t& count) noexcept {
    if (!received.empty()) {
        count = std::min(size, received.size());
        std::copy_n(received.bytes().begin(), count, into);
        received.drop_front(count);
        if (received.empty()) {
            received.reset();
        }
        return true;
    }
    while (!drained) {
        const ssize_t got = ::recv(descriptor.get(), into, size, MSG_DONTWAIT);
        if (got > 0) {
            count = static_cast<std::size_t>(got);
            fresh += static_cast<std::uint32_t>(count);
            drained = count < size;
            return true;
        }
        ended = got == 0;
        drained = ended || base::would_block(errno);
        if (!drained && errno != EINTR) {
            return false;
        }
    }
    return false;
}

bool TlsSocket::write(std::span<const std::uint8_t> from, std::size_t& count) noexcept {
    if (collects_) {
        count = from.size();
        return collect(from);
    }
    // OpenSSL would forget what it says while it reads, an alert, but not that it has numbered it. The peer decides how
    // many there are.
    constexpr std::size_t kMostUnsent = 128U << 10;
    if (!end_follows && !unsent_.empty() && unsent_.size() < kMostUnsent) {
        count = from.size();
        return send_or_keep(from);
    }
    return send_unsent() && send(from, count);
}

void TlsSocket::begin_records(RecordBundle* bundle) noexcept {
    collects_ = true;
    bundle_ = bundle;
}

bool TlsSocket::end_records() noexcept {
    const bool healthy = bundle_ == nullptr || send_bundle();
    collects_ = false;
    bundle_ = nullptr;
    return healthy;
}

/// What comes alone is sent from where it is.
bool TlsSocket::collect(std::span<const std::uint8_t> record) noexcept {
    if (bundle_ == nullptr || (!more_follows && bundle_->bytes().empty())) {
        return send_or_keep(record);
    }
    bundle_->add(record);
    return (more_follows && bundle_->has_room()) || send_bundle();
}

bool TlsSocket::send_bundle() noexcept {
    const bool healthy = send_or_keep(bundle_->bytes());
    bundle_->clear();
    return healthy;
}

/// False when the connection is broken, or there is no memory to keep what finds no room.
bool TlsSocket::send_or_keep(std::span<const std::uint8_t> records) noexcept {
    std::size_t count = 0;
    if (!records.empty() && unsent_.empty() && !send(records, count) && !full) {
        return false;
    }
    try {
        unsent_.append(records.subspan(count));
        return true;
    } catch (const std::bad_alloc&) {
        return false;
    }
}

bool TlsSocket::send_unsent() noexcept {
    while (!unsent_.empty()) {
        std::size_t count = 0;
        if (!send(unsent_.bytes(), count)) {
            return false;
        }
        unsent_.drop_front(count);
    }
    unsent_.reset();
    return true;
}

bool TlsSocket::send(std::span<const std::uint8_t> bytes, std::size_t& count) noexcept {
    const int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (end_follows ? MSG_MORE : 0);
    while (!full) {
        const ssize_t sent = ::send(descriptor.get(), bytes.data(), bytes.size(), flags);
        if (sent > 0) {
            count = static_cast<std::size_t>(sent);
            full = count < bytes.size();
            return true;
        }
        full = sent == 0 || base::would_block(errno);
        if (!full && errno != EINTR) {
            return false;
        }
    }
    return false;
}

}  // namespace websocket::net
