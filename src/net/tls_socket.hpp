// SPDX-License-Identifier: Apache-2.0
// The socket below a TLS connection, as OpenSSL sees it.
#pragma once

#include <openssl/bio.h>
#include <openssl/ssl3.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "base/byte_buffer.hpp"
#include "base/descriptor.hpp"

namespace websocket::net {

/// Records that leave together: each write is a walk through TCP, and with MSG_MORE, where TCP has to pace them
/// (BBR), a timer besides.
class RecordBundle {
public:
    /// Another record finds room, whatever its version and cipher.
    [[nodiscard]] bool has_room() const noexcept {
        return bytes_.size() - size_ >= SSL3_RT_MAX_PACKET_SIZE;
    }
    /// There is room for them.
    void add(std::span<const std::uint8_t> bytes) noexcept;
    [[nodiscard]] std::span<const std::uint8_t> bytes() const noexcept {
        return std::span(bytes_).first(size_);
    }
    void clear() noexcept { size_ = 0; }

private:
    std::array<std::uint8_t, std::size_t{64} << 10> bytes_;  // a packet of loopback holds no more
    std::size_t size_ = 0;
};

/// Its BIO never blocks and raises no signal, as OpenSSL's own one for sockets would, and asks the
/// kernel no question whose answer is known. [loop]
class TlsSocket {
public:
    explicit TlsSocket(base::Descriptor socket, base::ByteBuffer first_bytes = {}) noexcept
        : descriptor(std::move(socket)), received(std::move(first_bytes)) {}

    base::Descriptor descriptor;
    std::uint32_t fresh = 0;    ///< bytes read from the socket since it was set to 0
    base::ByteBuffer received;  ///< read from the socket before; comes first
    bool drained = false;       ///< nothing more to read before epoll says so
    bool full = false;          ///< no room to write before epoll says so
    bool ended = false;         ///< the peer's side is shut
    bool more_follows = false;  ///< another write comes at once
    bool end_follows = false;   ///< the end of the stream comes at once: one packet for both

    /// A BIO that refers to `*this`. Throws std::bad_alloc.
    [[nodiscard]] BIO* make_bio();

    [[nodiscard]] bool read(std::uint8_t* into, std::size_t size, std::size_t& count) noexcept;
    /// False when there is no room, and `full` then, or when it failed.
    [[nodiscard]] bool write(std::span<const std::uint8_t> from, std::size_t& count) noexcept;

    /// From now on, each write() succeeds, whether or not there is room, and records wait in `bundle` for those
    /// that follow. Without one each leaves by itself.
    void begin_records(RecordBundle* bundle) noexcept;
    /// All that was written is with the kernel.
    [[nodiscard]] bool all_sent() const noexcept {
        return unsent_.empty() && (bundle_ == nullptr || bundle_->bytes().empty());
    }
    /// There was no room for all.
    [[nodiscard]] bool has_unsent() const noexcept { return !unsent_.empty(); }
    /// What waits in the bundle leaves. False when the connection is broken.
    [[nodiscard]] bool end_records() noexcept;

    /// Sends what found no room before. False as long as some of it does not; `full` as above.
    [[nodiscard]] bool send_unsent() noexcept;

private:
    [[nodiscard]] bool collect(std::span<const std::uint8_t> record) noexcept;
    [[nodiscard]] bool send_bundle() noexcept;
    [[nodiscard]] bool send_or_keep(std::span<const std::uint8_t> records) noexcept;
    [[nodiscard]] bool send(std::span<const std::uint8_t> bytes, std::size_t& count) noexcept;

    bool collects_ = false;           ///< between begin_records() and end_records()
    RecordBundle* bundle_ = nullptr;  ///< where records wait meanwhile
    base::ByteBuffer unsent_;         ///< nothing may overtake it
};

}  // namespace websocket::net
