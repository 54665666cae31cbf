// SPDX-License-Identifier: Apache-2.0
// Plain TCP, or whatever else carries a connection, in one word: most connections are plain, and many.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "base/descriptor.hpp"
#include "net/transport.hpp"

namespace websocket::net {

/// Owns a connected stream socket, and needs no memory for it, or a Transport. All that a Transport promises
/// holds for either. [loop]
class AnyTransport {
public:
    /// Neither; nothing but the destructor and an assignment may be called.
    AnyTransport() noexcept = default;
    // Whoever has one of the two has what carries a connection: nothing is to be said by a name.
    /// A socket, blocking or not; invalid it is as none.
    AnyTransport(base::Descriptor socket) noexcept;  // NOLINT(google-explicit-constructor)
    template <class Other>
    AnyTransport(std::unique_ptr<Other> other) noexcept  // NOLINT(google-explicit-constructor)
        : AnyTransport(static_cast<Transport*>(other.release())) {}

    AnyTransport(AnyTransport&& from) noexcept : word_(std::exchange(from.word_, 0)) {}
    AnyTransport& operator=(AnyTransport&& from) noexcept {
        std::swap(word_, from.word_);
        return *this;
    }
    AnyTransport(const AnyTransport&) = delete;
    AnyTransport& operator=(const AnyTransport&) = delete;
    ~AnyTransport();

    [[nodiscard]] IoResult read(std::span<std::uint8_t> into) noexcept {
        return is_socket() ? receive(into) : other()->read(into);
    }
    [[nodiscard]] IoResult write(std::span<const iovec> from) noexcept {
        return is_socket() ? send(from) : other()->write(from);
    }
    /// As write(), of the last bytes: as soon as all that waits is written, shutdown_write() follows, in this
    /// turn. A socket sends both at once.
    [[nodiscard]] IoResult write_last(std::span<const iovec> from) noexcept {
        return is_socket() ? send(from, MSG_MORE) : other()->write(from);
    }
    [[nodiscard]] bool shutdown_write() noexcept;
    [[nodiscard]] int descriptor() const noexcept {
        return is_socket() ? socket() : other()->descriptor();
    }
    [[nodiscard]] Delivery delivery() const noexcept {
        return is_socket() ? delivery_of(socket()) : other()->delivery();
    }
    [[nodiscard]] bool pending() const noexcept { return !is_socket() && other()->pending(); }
    [[nodiscard]] std::uint32_t poll_events(bool read, bool write) const noexcept {
        return is_socket() ? usual_poll_events(read, write) : other()->poll_events(read, write);
    }

private:
    explicit AnyTransport(Transport* other) noexcept
        : word_(reinterpret_cast<std::uintptr_t>(other)) {}

    // The address of an object is even.
    static constexpr std::uintptr_t kSocket = 1;
    [[nodiscard]] bool is_socket() const noexcept { return (word_ & kSocket) != 0; }
    [[nodiscard]] int socket() const noexcept { return static_cast<int>(word_ >> 1); }
    [[nodiscard]] Transport* other() const noexcept {
        // NOLINTNEXTLINE(performance-no-int-to-ptr): it was one
        return reinterpret_cast<Transport*>(word_);
    }
    [[nodiscard]] IoResult receive(std::span<std::uint8_t> into) const noexcept;
    [[nodiscard]] IoResult send(std::span<const iovec> from, int flags = 0) const noexcept;
    [[nodiscard]] IoResult send_all(std::span<const iovec> from, int flags) const noexcept;

    std::uintptr_t word_ = 0;
};

static_assert(alignof(Transport) > 1 && sizeof(AnyTransport) == sizeof(void*));

}  // namespace websocket::net
