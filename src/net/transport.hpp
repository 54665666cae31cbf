// SPDX-License-Identifier: Apache-2.0
// What carries the bytes of one connection.
#pragma once

#include <sys/epoll.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace websocket::net {

enum class IoStatus : std::uint8_t {
    done,         ///< `count` bytes, at least one
    would_block,  ///< none now; the descriptor will become ready
    closed,       ///< the peer will send no more
    failed,       ///< the connection is unusable
};

struct IoResult {
    IoStatus status;
    /// With would_block, what a read got that is of no use yet: a part of a TLS record.
    std::size_t count = 0;
};

/// What to poll for where reading waits for input only, and writing for room only.
[[nodiscard]] constexpr std::uint32_t usual_poll_events(bool read, bool write) noexcept {
    return (read ? std::uint32_t{EPOLLIN} : 0U) | (write ? std::uint32_t{EPOLLOUT} : 0U);
}

/// How far what was written to a socket has come.
struct Delivery {
    std::uint32_t untaken = 0;  ///< bytes that the peer's system has not acknowledged yet
    std::uint32_t taken = 0;    ///< grows by those that it has, and wraps
};
[[nodiscard]] Delivery delivery_of(int socket) noexcept;

/// Bytes that have come over a socket of TCP, read or not; 0 when it is none. [any thread]
[[nodiscard]] std::uint64_t received_by(int socket) noexcept;

/// Never blocks, never throws, raises no signal. Owned and called by one loop. [loop]
class Transport {
public:
    virtual ~Transport() = default;

    [[nodiscard]] virtual IoResult read(std::span<std::uint8_t> into) noexcept = 0;

    /// Writes from the front of `from`; a short count is not an error. Then, and after would_block,
    /// the next call begins with what is left, maybe at another place and with more behind it.
    [[nodiscard]] virtual IoResult write(std::span<const iovec> from) noexcept = 0;

    /// Tells the peer that nothing more will come; reading goes on. False as long as it has to be
    /// called again, when the descriptor is ready for poll_events(). Not while a write is to be
    /// repeated.
    [[nodiscard]] virtual bool shutdown_write() noexcept = 0;

    /// What to poll for readiness; valid as long as the transport.
    [[nodiscard]] virtual int descriptor() const noexcept = 0;

    [[nodiscard]] virtual Delivery delivery() const noexcept { return delivery_of(descriptor()); }

    /// True when read() has something to tell that the descriptor's readiness does not show.
    [[nodiscard]] virtual bool pending() const noexcept { return false; }

    /// What to poll for (epoll's bits) when the owner wants to read, to write, both or neither. A
    /// TLS transport may have to write before it can read, and the other way round.
    [[nodiscard]] virtual std::uint32_t poll_events(bool read, bool write) const noexcept {
        return usual_poll_events(read, write);
    }
};

}  // namespace websocket::net
