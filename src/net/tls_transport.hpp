// SPDX-License-Identifier: Apache-2.0
// TLS, whose handshake somebody else has done.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>

#include "net/tls_socket.hpp"
#include "net/transport.hpp"

namespace websocket::net {

struct FreeSsl {
    void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
};
using SslPointer = std::unique_ptr<SSL, FreeSsl>;

/// The server's side of a TLS connection, 1.2 or 1.3, or the client's. Records for which the socket has no room are kept;
/// OpenSSL holds its two buffers only while there is something in them.
class TlsTransport final : public Transport {
public:
    /// Records that may be written with one key: below the 2^24.5 of RFC 8446 section 5.5.
    static constexpr std::uint32_t kRecordsPerKey = 1U << 24;
    /// Records without application data, one behind the other, that a peer may send.
    static constexpr std::uint8_t kMaxBarrenReads = 32;

    /// `ssl` has done its handshake and keeps what it has decrypted already; `received` came from
    /// the socket, but has not been given to it. The last reference of whoever served the
    /// connection: no callback, no BIO and no SSL_CTX of that one is used any more, but that its
    /// session cache is told to forget the session after a fatal alert. The socket has no delay
    /// (TCP_NODELAY). Throws std::bad_alloc. [any thread]
    TlsTransport(SslPointer ssl, base::Descriptor socket, base::ByteBuffer received,
                 std::uint32_t records_per_key = kRecordsPerKey);
    ~TlsTransport() override;
    TlsTransport(const TlsTransport&) = delete;
    TlsTransport& operator=(const TlsTransport&) = delete;

    [[nodiscard]] IoResult read(std::span<std::uint8_t> into) noexcept override;
    [[nodiscard]] IoResult write(std::span<const iovec> from) noexcept override;
    /// Sends close_notify, then shuts the socket.
    [[nodiscard]] bool shutdown_write() noexcept override;
    [[nodiscard]] int descriptor() const noexcept override { return socket_.descriptor.get(); }
    [[nodiscard]] bool pending() const noexcept override {
        return pending_ && !read_waits_for_room_;
    }
    [[nodiscard]] std::uint32_t poll_events(bool read, bool write) const noexcept override;

private:
    class Cursor;

    void take_over();
    [[nodiscard]] IoResult read_all(std::size_t count) noexcept;
    void count_barren_read() noexcept;
    void fail() noexcept;
    [[nodiscard]] IoResult read_stopped(std::size_t count) noexcept;
    [[nodiscard]] std::size_t write_together(Cursor& cursor) noexcept;
    [[nodiscard]] std::size_t write_records(Cursor& cursor, RecordBundle* bundle) noexcept;
    [[nodiscard]] std::size_t write_record(std::span<const std::uint8_t> record) noexcept;
    void change_key() noexcept;

    TlsSocket socket_;
    const SslPointer ssl_;
    const std::uint32_t records_per_key_;
    std::uint32_t records_ = 0;      ///< written with this key
    std::uint32_t ahead_ = 0;        ///< bytes encrypted that the caller still takes for unwritten
    std::uint8_t barren_reads_ = 0;  ///< one behind the other
    bool pending_ : 1 = true;        ///< at first, as it may have met data, an end or an error
    bool read_failed_ : 1 = false;
    bool write_failed_ : 1 = false;           ///< what the peer has sent before may still be read
    bool read_waits_for_room_ : 1 = false;    ///< to write a KeyUpdate, before it can go on
    bool write_waits_for_input_ : 1 = false;  ///< the other way round; no TLS of today does that
    bool notifying_ : 1 = false;              ///< close_notify did not go out whole
};

}  // namespace websocket::net
