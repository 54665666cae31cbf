// SPDX-License-Identifier: Apache-2.0
// Part of websocket_tcp.cpp: connects to a target, on a worker of httpd, which waits for it.
#pragma once

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "tcp_socket.hpp"
#include "tcp_target.hpp"
#include "tcp_waiting.hpp"

namespace tcp {

/// A target that could not be reached, with the HTTP status that says so.
class Unreachable : public std::runtime_error {
public:
    Unreachable(unsigned status, const std::string& why)
        : std::runtime_error(why), status_(status) {}
    [[nodiscard]] unsigned status() const noexcept { return status_; }

    /// 504 when nothing was heard of the target, 503 when it is this machine that lacks something, else 502.
    [[nodiscard]] static Unreachable because(int error) {
        // The last two: of all ports of this machine, none is left for this target.
        const bool lacking = error == EMFILE || error == ENFILE || error == ENOBUFS ||
                             error == ENOMEM || error == EAGAIN || error == EADDRNOTAVAIL;
        return {error == ETIMEDOUT ? 504U
                : lacking          ? 503U
                                   : 502U,
                std::system_category().message(error) + " (errno " + std::to_string(error) + ")"};
    }

private:
    unsigned status_;
};

/// One attempt to connect, to all addresses of the target in turn.
class Attempt {
public:
    using Clock = std::chrono::steady_clock;
    /// Who has an answer by then has not waited: a burst of clients finds no limit.
    static constexpr std::chrono::milliseconds kUnnoticed{100};

    /// `place` is taken when there is something to wait for.
    Attempt(const Target& target, std::chrono::milliseconds limit, Place& place)
        : target_(target), begin_(Clock::now()), end_(begin_ + limit), place_(place) {}

    /// A connected socket that does not block. Throws Unreachable: with 503 when too many wait.
    [[nodiscard]] Socket connect() { return target_.is_unix() ? connect_unix() : connect_tcp(); }

private:
    struct Free {
        void operator()(addrinfo* list) const noexcept { ::freeaddrinfo(list); }
    };
    using Addresses = std::unique_ptr<addrinfo, Free>;

    /// Not valid, with errno, when there can be none.
    [[nodiscard]] static Socket made(int family, int type) noexcept {
        return Socket(::socket(family, type | SOCK_STREAM | SOCK_CLOEXEC, 0));
    }

    // --- waiting ---

    [[nodiscard]] static int milliseconds_until(Clock::time_point time) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(time - Clock::now());
        return static_cast<int>(std::max<std::int64_t>(left.count(), 0));
    }
    [[noreturn]] static void too_many() {
        throw Unreachable(503, "too many handshakes wait for it (option max-waiting)");
    }
    /// For what cannot be asked whether it is ready: waits a little for a place, too.
    void take_place() {
        while (!place_.take()) {
            if (Clock::now() >= begin_ + kUnnoticed) too_many();
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
    }
    /// False at `until`.
    [[nodiscard]] static bool wait_writable(const Socket& socket, Clock::time_point until) {
        for (;;) {
            pollfd one{socket.get(), POLLOUT, 0};
            const int ready = ::poll(&one, 1, milliseconds_until(until));
            if (ready > 0) return true;
            if (ready < 0 && errno != EINTR) throw Unreachable::because(errno);
            if (Clock::now() >= until) return false;
        }
    }

    // --- tcp ---

    [[nodiscard]] Addresses resolve() {
        addrinfo hints{};
        hints.ai_socktype = SOCK_STREAM;
        hints.ai_flags = AI_NUMERICSERV | (target_.is_numeric() ? AI_NUMERICHOST : 0);
        if (!target_.is_numeric()) take_place();  // nobody knows how long a name server takes
        addrinfo* list = nullptr;
        const int error = ::getaddrinfo(target_.host.c_str(), std::to_string(target_.port).c_str(),
                                        &hints, &list);
        if (error == EAI_SYSTEM) throw Unreachable::because(errno);
        if (error != 0) throw Unreachable(error == EAI_AGAIN ? 504 : 502, ::gai_strerror(error));
        return Addresses(list);
    }
    [[nodiscard]] Socket connect_tcp() {
        const Addresses addresses = resolve();
        int left = 0;
        for (const addrinfo* one = addresses.get(); one != nullptr; one = one->ai_next) ++left;
        int error = ETIMEDOUT;
        for (const addrinfo* one = addresses.get(); one != nullptr; one = one->ai_next, --left) {
            // None may use up what others need.
            const auto now = Clock::now();
            const auto until = now + std::max(end_ - now, Clock::duration::zero()) / left;
            Socket socket = made(one->ai_family, SOCK_NONBLOCK);
            const bool connected =
                socket.valid() && ::connect(socket.get(), one->ai_addr, one->ai_addrlen) == 0;
            error = connected ? 0 : errno;  // also of a family that this machine does not have
            if (error == EINPROGRESS || error == EINTR) error = outcome(socket, until);
            if (error == 0 && leads_to_itself(socket)) error = ECONNREFUSED;
            if (error == 0) return settled(std::move(socket));
        }
        throw Unreachable::because(error);
    }
    /// Of a connect() that goes on: an errno, or 0.
    [[nodiscard]] int outcome(const Socket& socket, Clock::time_point until) {
        const bool unnoticed = !place_.taken();
        if (!wait_writable(socket,
                           unnoticed ? std::min(until, Clock::now() + kUnnoticed) : until)) {
            if (unnoticed && !place_.take()) too_many();
            if (!wait_writable(socket, until)) return ETIMEDOUT;
        }
        int error = 0;
        socklen_t size = sizeof error;
        return ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
    }
    /// On the own host, where nobody listens, TCP joins a socket to itself when its port happens to be the one
    /// it looks for.
    [[nodiscard]] static bool leads_to_itself(const Socket& socket) noexcept {
        sockaddr_storage own{};
        sockaddr_storage peer{};
        socklen_t own_size = sizeof own;
        socklen_t peer_size = sizeof peer;
        return ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&own), &own_size) == 0 &&
               ::getpeername(socket.get(), reinterpret_cast<sockaddr*>(&peer), &peer_size) == 0 &&
               own_size == peer_size && std::memcmp(&own, &peer, own_size) == 0;
    }
    /// Small messages are not held back, and a target that has vanished from the network is noticed.
    [[nodiscard]] static Socket settled(Socket socket) {
        const auto set = [&socket](int level, int option, int value) {
            static_cast<void>(::setsockopt(socket.get(), level, option, &value, sizeof value));
        };
        set(IPPROTO_TCP, TCP_NODELAY, 1);
        set(SOL_SOCKET, SO_KEEPALIVE, 1);
        set(IPPROTO_TCP, TCP_KEEPIDLE, 60);  // seconds
        set(IPPROTO_TCP, TCP_KEEPINTVL, 10);
        set(IPPROTO_TCP, TCP_KEEPCNT, 6);
        return socket;
    }

    // --- unix ---

    /// A listener with a full backlog is nothing that can be polled: connect() itself has to wait, which it
    /// does as long as a send may.
    [[nodiscard]] Socket connect_unix() {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, target_.path.data(), target_.path.size());
        const auto connected = [&address](const Socket& socket) {
            return socket.valid() &&
                   ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address),
                             sizeof address) == 0;
        };
        Socket socket = made(AF_UNIX, SOCK_NONBLOCK);
        if (connected(socket)) return socket;
        if (errno != EAGAIN) throw Unreachable::because(errno);
        take_place();
        socket = made(AF_UNIX, 0);
        do {
            const std::int64_t left = std::max(milliseconds_until(end_), 1);
            const timeval limit{left / 1000, left % 1000 * 1000};
            static_cast<void>(
                ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit));
            if (connected(socket)) return nonblocking(std::move(socket));
        } while (errno == EINTR && Clock::now() < end_);
        throw Unreachable::because(errno == EINTR || errno == EAGAIN ? ETIMEDOUT : errno);
    }
    [[nodiscard]] static Socket nonblocking(Socket socket) {
        const int flags = ::fcntl(socket.get(), F_GETFL);
        static_cast<void>(::fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK));
        return socket;
    }

    const Target& target_;
    const Clock::time_point begin_;
    const Clock::time_point end_;
    Place& place_;
};

}  // namespace tcp
