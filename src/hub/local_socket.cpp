// SPDX-License-Identifier: Apache-2.0
#include "hub/local_socket.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstddef>
#include <cstdio>

namespace websocket::hub {

using base::Descriptor;

namespace {

/// What the kernel may hold for a receiver that is not quick enough; it may allow less.
constexpr int kSendBuffer = 1 << 20;

struct Address {
    sockaddr_un address{};
    socklen_t size = 0;

    explicit Address(std::uint64_t number) noexcept {
        address.sun_family = AF_UNIX;
        // The first byte stays 0, which makes it a name and not a path.
        const int length = std::snprintf(address.sun_path + 1, sizeof address.sun_path - 1,
                                         "mod_websocket/%016" PRIx64, number);
        size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 +
                                      static_cast<std::size_t>(length));
    }
    [[nodiscard]] const sockaddr* generic() const noexcept {
        return reinterpret_cast<const sockaddr*>(&address);
    }
};

base::Descriptor new_socket() noexcept {
    return base::Descriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

/// Also tells for a listener, which may not be the one that had the name before.
bool is_own_user(int socket) noexcept {
    ucred peer{};
    socklen_t size = sizeof peer;
    return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           peer.uid == ::geteuid();
}

}  // namespace

base::Descriptor listen_as(std::uint64_t address) noexcept {
    base::Descriptor socket = new_socket();
    const Address name(address);
    if (!socket.valid() || ::bind(socket.get(), name.generic(), name.size) != 0 ||
        ::listen(socket.get(), SOMAXCONN) != 0) {
        return {};
    }
    return socket;
}

base::Descriptor connect_to(std::uint64_t address) noexcept {
    base::Descriptor socket = new_socket();
    if (!socket.valid()) {
        return {};
    }
    ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDBUF, &kSendBuffer, sizeof kSendBuffer);
    const Address name(address);
    if (::connect(socket.get(), name.generic(), name.size) != 0) {
        return {};
    }
    if (!is_own_user(socket.get())) {
        errno = EPERM;
        return {};
    }
    return socket;
}

base::Descriptor accept_from(int listener) noexcept {
    base::Descriptor socket(::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket.valid() && !is_own_user(socket.get())) {
        errno = EACCES;
        return {};
    }
    return socket;
}

}  // namespace websocket::hub
