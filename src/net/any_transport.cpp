// SPDX-License-Identifier: Apache-2.0
#include "net/any_transport.hpp"

#include <sys/socket.h>

#include <cerrno>

#include "base/io_error.hpp"

namespace websocket::net {

namespace {

/// In place, else its call costs a third of what a write does here.
template <class Send>
[[gnu::always_inline]] inline IoResult until_done(Send send) {
    for (;;) {
        const ssize_t count = send();
        if (count > 0) return {IoStatus::done, static_cast<std::size_t>(count)};
        if (count == 0 || base::would_block(errno)) return {IoStatus::would_block};
        if (errno != EINTR) return {IoStatus::failed};
    }
}

}  // namespace

AnyTransport::AnyTransport(base::Descriptor socket) noexcept
    : word_(socket.valid() ? (static_cast<std::uintptr_t>(socket.get()) << 1) | kSocket : 0) {
    static_cast<void>(socket.release());
}

AnyTransport::~AnyTransport() {
    if (is_socket()) {
        const base::Descriptor closed(socket());
    } else {
        delete other();
    }
}

// Each call says that it must not block: the flag of the socket is shared with whoever else has a duplicate,
// and would take two calls more.

IoResult AnyTransport::receive(std::span<std::uint8_t> into) const noexcept {
    for (;;) {
        const ssize_t count = ::recv(socket(), into.data(), into.size(), MSG_DONTWAIT);
        if (count > 0) return {IoStatus::done, static_cast<std::size_t>(count)};
        if (count == 0) return {IoStatus::closed};
        if (base::would_block(errno)) return {IoStatus::would_block};
        if (errno != EINTR) return {IoStatus::failed};
    }
}

IoResult AnyTransport::send(std::span<const iovec> from, int flags) const noexcept {
    if (from.size() != 1) {
        return send_all(from, flags);
    }
    // Cheaper in the kernel than a vector of one.
    const iovec one = from.front();
    return until_done([=, this] {
        return ::send(socket(), one.iov_base, one.iov_len, flags | MSG_DONTWAIT | MSG_NOSIGNAL);
    });
}

/// A function of its own, so that the usual one needs no room for the message.
[[gnu::noinline]] IoResult AnyTransport::send_all(std::span<const iovec> from,
                                                  int flags) const noexcept {
    msghdr message{};
    // sendmsg(2) does not write through the vector; the member just has no const.
    message.msg_iov = const_cast<iovec*>(from.data());
    message.msg_iovlen = from.size();
    return until_done(
        [&] { return ::sendmsg(socket(), &message, flags | MSG_DONTWAIT | MSG_NOSIGNAL); });
}

bool AnyTransport::shutdown_write() noexcept {
    if (!is_socket()) {
        return other()->shutdown_write();
    }
    ::shutdown(socket(), SHUT_WR);
    return true;
}

}  // namespace websocket::net
