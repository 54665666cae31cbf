// SPDX-License-Identifier: Apache-2.0
#include "net/tls_transport.hpp"

#include <openssl/err.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <new>
#include <utility>

namespace websocket::net {

namespace {

constexpr std::size_t kRecord = SSL3_RT_MAX_PLAIN_LENGTH;
using RecordBuffer = std::array<std::uint8_t, kRecord>;

/// SSL_get_error() looks at the thread's queue, which others on this thread may have filled, too.
/// Looking first is cheaper than clearing what is clear.
void clear_errors() noexcept {
    if (ERR_peek_error() != 0) {
        ERR_clear_error();
    }
}

/// What all connections refer to instead of the SSL_CTX that they were made with: no callbacks.
SSL_CTX* make_plain_context() {
    SSL_CTX* context = SSL_CTX_new(TLS_server_method());
    if (context == nullptr) {
        throw std::bad_alloc();
    }
    return context;
}

int refuse_certificate(int /*preverified*/, X509_STORE_CTX* /*chain*/) { return 0; }

}  // namespace

/// A position in what is to be written.
class TlsTransport::Cursor {
public:
    explicit Cursor(std::span<const iovec> parts) noexcept : parts_(parts) {
        for (const iovec& part : parts) {
            left_ += part.iov_len;
        }
        skip_empty();
    }

    [[nodiscard]] std::size_t left() const noexcept { return left_; }

    /// At most `limit` bytes, where they lie if they lie together, else copied to `buffer`.
    [[nodiscard]] std::span<const std::uint8_t> look(std::size_t limit,
                                                     RecordBuffer& buffer) const noexcept {
        const std::span<const std::uint8_t> first = bytes_of(parts_.front()).subspan(used_);
        if (first.size() >= limit || parts_.size() == 1) {
            return first.first(std::min(limit, first.size()));
        }
        auto end = std::copy(first.begin(), first.end(), buffer.begin());
        for (const iovec& part : parts_.subspan(1)) {
            const auto room = limit - static_cast<std::size_t>(end - buffer.begin());
            const auto piece = bytes_of(part).first(std::min(room, part.iov_len));
            end = std::copy(piece.begin(), piece.end(), end);
        }
        return {buffer.begin(), end};
    }

    void advance(std::size_t count) noexcept {
        left_ -= count;
        while (count > 0) {
            const std::size_t step = std::min(count, parts_.front().iov_len - used_);
            count -= step;
            used_ += step;
            if (used_ == parts_.front().iov_len) {
                parts_ = parts_.subspan(1);
                used_ = 0;
                skip_empty();
            }
        }
    }

private:
    [[nodiscard]] static std::span<const std::uint8_t> bytes_of(const iovec& part) noexcept {
        return {static_cast<const std::uint8_t*>(part.iov_base), part.iov_len};
    }
    void skip_empty() noexcept {
        while (!parts_.empty() && parts_.front().iov_len == 0) {
            parts_ = parts_.subspan(1);
        }
    }

    std::span<const iovec> parts_;
    std::size_t used_ = 0;  ///< of the first part
    std::size_t left_ = 0;
};

TlsTransport::TlsTransport(SslPointer ssl, base::Descriptor socket, base::ByteBuffer received,
                           std::uint32_t records_per_key)
    : socket_(std::move(socket), std::move(received)), ssl_(std::move(ssl)),
      records_per_key_(records_per_key) {
    take_over();
}

void TlsTransport::take_over() {
    static SSL_CTX* const plain_context = make_plain_context();
    SSL* ssl = ssl_.get();
    // mod_ssl's callbacks live in its SSL_CTX and find their connection in the application data;
    // most of them, not all, look whether there still is one. So they go, all of them: the log of
    // keys and of states (which a key update would call), the choice of names and protocols, the
    // verdict on certificates. With SSL_OP_NO_RENEGOTIATION, and as nobody here asks for a
    // certificate, there is no further handshake that would miss them.
    SSL_set_app_data(ssl, nullptr);
    SSL_set_msg_callback(ssl, nullptr);
    SSL_set_info_callback(ssl, nullptr);
    SSL_set_verify(ssl, SSL_VERIFY_PEER, refuse_certificate);
    if (SSL_set_SSL_CTX(ssl, plain_context) == nullptr) {
        throw std::bad_alloc();
    }
    BIO* bio = socket_.make_bio();
    SSL_set_bio(ssl, bio, bio);

    SSL_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                          SSL_MODE_RELEASE_BUFFERS);
    SSL_clear_mode(ssl, SSL_MODE_AUTO_RETRY);  // or one call may read indefinitely
    SSL_set_quiet_shutdown(ssl, 0);
    SSL_set_read_ahead(ssl, 1);  // a record's header and its content in one recv(2)
}

TlsTransport::~TlsTransport() {
    // Otherwise OpenSSL would take the session for broken and have it removed from the cache.
    SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
}

// --- reading -------------------------------------------------------------------------------------

IoResult TlsTransport::read(std::span<std::uint8_t> into) noexcept {
    SSL* ssl = ssl_.get();
    socket_.drained = false;
    socket_.fresh = 0;
    pending_ = false;
    read_waits_for_room_ = false;
    std::size_t count = 0;
    while (!read_failed_ && count < into.size()) {
        std::size_t more = 0;
        clear_errors();
        if (SSL_read_ex(ssl, into.data() + count, into.size() - count, &more) == 1) {
            count += more;
            barren_reads_ = 0;
            if (socket_.drained && SSL_has_pending(ssl) == 0) {
                return {IoStatus::done, count};
            }
        } else if (SSL_get_error(ssl, 0) != SSL_ERROR_WANT_READ) {
            return read_stopped(count);
        } else if (socket_.drained) {
            return read_all(count);
        } else {
            count_barren_read();
        }
    }
    pending_ = read_failed_ || SSL_has_pending(ssl) != 0;
    return {count > 0 ? IoStatus::done : IoStatus::failed, count};
}

/// OpenSSL took a handshake message or an alert, or the header of a record.
void TlsTransport::count_barren_read() noexcept {
    if (++barren_reads_ > kMaxBarrenReads) {
        fail();
    }
}

/// What cannot be read any more cannot be written either; the other way round it can.
void TlsTransport::fail() noexcept {
    read_failed_ = true;
    write_failed_ = true;
}

/// The socket is empty.
IoResult TlsTransport::read_all(std::size_t count) noexcept {
    if (count > 0) {
        return {IoStatus::done, count};
    }
    if (socket_.fresh > 0 && SSL_has_pending(ssl_.get()) == 0) {
        count_barren_read();
    }
    return {read_failed_ ? IoStatus::failed : IoStatus::would_block, socket_.fresh};
}

/// Neither data nor just a lack of them. What was read before is handed out first.
IoResult TlsTransport::read_stopped(std::size_t count) noexcept {
    const int why = SSL_get_error(ssl_.get(), 0);
    clear_errors();
    pending_ = true;
    read_waits_for_room_ = why == SSL_ERROR_WANT_WRITE;
    if (!read_waits_for_room_ && why != SSL_ERROR_ZERO_RETURN) {
        fail();
    }
    if (count > 0) {
        return {IoStatus::done, count};
    }
    if (read_waits_for_room_) {
        return {IoStatus::would_block, socket_.fresh};
    }
    return {read_failed_ ? IoStatus::failed : IoStatus::closed};
}

// --- writing -------------------------------------------------------------------------------------

IoResult TlsTransport::write(std::span<const iovec> from) noexcept {
    socket_.full = false;
    write_waits_for_input_ = false;
    if (write_failed_ || !socket_.send_unsent()) {
        write_failed_ = write_failed_ || !socket_.full;
        return {write_failed_ ? IoStatus::failed : IoStatus::would_block};
    }
    Cursor cursor(from);
    // What the caller offers again, but is sent by now.
    std::size_t written = std::min<std::size_t>(ahead_, cursor.left());
    cursor.advance(written);
    ahead_ -= static_cast<std::uint32_t>(written);

    written += cursor.left() > kRecord ? write_together(cursor) : write_records(cursor, nullptr);
    if (write_failed_) {
        return {IoStatus::failed};
    }
    return {written > 0 ? IoStatus::done : IoStatus::would_block, written};
}

/// A function of its own, so that the usual one needs no room for the bundle.
[[gnu::noinline]] std::size_t TlsTransport::write_together(Cursor& cursor) noexcept {
    RecordBundle bundle;
    return write_records(cursor, &bundle);
}

/// Writes until the socket is full. How much of it the kernel has; what is encrypted besides is ahead.
std::size_t TlsTransport::write_records(Cursor& cursor, RecordBundle* bundle) noexcept {
    std::size_t written = 0;
    RecordBuffer buffer;
    socket_.begin_records(bundle);
    while (cursor.left() > 0 && !socket_.has_unsent()) {
        if (records_ >= records_per_key_) {
            change_key();
        }
        const auto record = cursor.look(kRecord, buffer);
        socket_.more_follows = cursor.left() > record.size();
        const std::size_t count = write_record(record);
        if (count == 0) {
            break;
        }
        cursor.advance(count);
        ahead_ += static_cast<std::uint32_t>(count);
        if (socket_.all_sent()) {
            written += std::exchange(ahead_, 0);
        }
    }
    write_failed_ = !socket_.end_records() || write_failed_;
    return written;
}

/// How much of it is written, 0 for nothing.
std::size_t TlsTransport::write_record(std::span<const std::uint8_t> record) noexcept {
    SSL* ssl = ssl_.get();
    std::size_t count = 0;
    clear_errors();
    if (SSL_write_ex(ssl, record.data(), record.size(), &count) == 1) {
        ++records_;
        read_waits_for_room_ = false;
        return count;
    }
    write_waits_for_input_ = SSL_get_error(ssl, 0) == SSL_ERROR_WANT_READ;
    write_failed_ = write_failed_ || !write_waits_for_input_;
    clear_errors();
    return 0;
}

/// Both sides' keys. The record goes out before the next data. TLS 1.2 cannot.
void TlsTransport::change_key() noexcept {
    records_ = 0;
    SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_REQUESTED);
    clear_errors();
}

bool TlsTransport::shutdown_write() noexcept {
    clear_errors();
    socket_.full = false;
    socket_.end_follows = true;
    const int result = write_failed_ ? 0 : SSL_shutdown(ssl_.get());
    notifying_ = result < 0 && SSL_get_error(ssl_.get(), result) == SSL_ERROR_WANT_WRITE;
    clear_errors();
    if (!notifying_) {
        ::shutdown(descriptor(), SHUT_WR);
    }
    return !notifying_;
}

std::uint32_t TlsTransport::poll_events(bool read, bool write) const noexcept {
    constexpr std::uint32_t kIn = EPOLLIN;
    constexpr std::uint32_t kOut = EPOLLOUT;
    std::uint32_t events = notifying_ ? kOut : 0U;
    if (read) {
        events |= read_waits_for_room_ ? kOut : kIn;
    }
    if (write) {
        events |= write_waits_for_input_ ? kIn : kOut;
    }
    return events;
}

}  // namespace websocket::net
