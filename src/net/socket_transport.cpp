// SPDX-License-Identifier: Apache-2.0
#include "net/socket_transport.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/io_error.hpp"

namespace websocket::net {

namespace {

template <class Send>
IoResult until_done(Send send) {
    for (;;) {
        const ssize_t count = send();
        if (count > 0) return {IoStatus::done, static_cast<std::size_t>(count)};
        if (count == 0 || base::would_block(errno)) return {IoStatus::would_block};
        if (errno != EINTR) return {IoStatus::failed};
    }
}

}  // namespace

SocketTransport::SocketTransport(base::Descriptor socket) noexcept : socket_(std::move(socket)) {
    const int flags = ::fcntl(socket_.get(), F_GETFL);
    if (flags >= 0) {
        ::fcntl(socket_.get(), F_SETFL, flags | O_NONBLOCK);
    }
}

IoResult SocketTransport::read(std::span<std::uint8_t> into) noexcept {
    for (;;) {
        const ssize_t count = ::recv(socket_.get(), into.data(), into.size(), 0);
        if (count > 0) return {IoStatus::done, static_cast<std::size_t>(count)};
        if (count == 0) return {IoStatus::closed};
        if (base::would_block(errno)) return {IoStatus::would_block};
        if (errno != EINTR) return {IoStatus::failed};
    }
}

IoResult SocketTransport::write(std::span<const iovec> from) noexcept {
    if (from.size() == 1) {
        return write_one(from.front());
    }
    msghdr message{};
    // sendmsg(2) does not write through the vector; the member just has no const.
    message.msg_iov = const_cast<iovec*>(from.data());
    message.msg_iovlen = from.size();
    return until_done([&] { return ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL); });
}

/// Cheaper in the kernel than a vector of one.
IoResult SocketTransport::write_one(const iovec& from) noexcept {
    return until_done(
        [&] { return ::send(socket_.get(), from.iov_base, from.iov_len, MSG_NOSIGNAL); });
}

bool SocketTransport::shutdown_write() noexcept {
    ::shutdown(socket_.get(), SHUT_WR);
    return true;
}

}  // namespace websocket::net
