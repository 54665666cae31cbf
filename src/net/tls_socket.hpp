// SPDX-License-Identifier: Apache-2.0
// The socket below a TLS connection, as OpenSSL sees it.
#pragma once

#include <openssl/bio.h>

#include <cstddef>
#include <cstdint>

#include "base/byte_buffer.hpp"
#include "base/descriptor.hpp"

namespace websocket::net {

/// Its BIO never blocks and raises no signal, as OpenSSL's own one for sockets would, and asks the
/// kernel no question whose answer is known. [loop]
struct TlsSocket {
    base::Descriptor descriptor;
    base::ByteBuffer received = {};  ///< read from the socket before; comes first
    std::uint32_t fresh = 0;         ///< bytes read from the socket since it was set to 0
    bool drained = false;            ///< nothing more to read before epoll says so
    bool full = false;               ///< no room to write before epoll says so
    bool ended = false;              ///< the peer's side is shut
    bool more_follows = false;       ///< another write comes at once

    /// A BIO that refers to `*this`. Throws std::bad_alloc.
    [[nodiscard]] BIO* make_bio();

    [[nodiscard]] bool read(std::uint8_t* into, std::size_t size, std::size_t& count) noexcept;
    [[nodiscard]] bool write(const std::uint8_t* from, std::size_t size,
                             std::size_t& count) noexcept;
};

}  // namespace websocket::net
