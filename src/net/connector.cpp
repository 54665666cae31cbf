// SPDX-License-Identifier: Apache-2.0
#include "net/connector.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

namespace websocket::net {

namespace {

/// RFC 8305 section 4: a family that leads nowhere costs one address only, not all of its own. Within one, the
/// order of the system stays.
std::vector<Address> in_turn(std::vector<Address> addresses, std::size_t most) {
    if (addresses.empty()) {
        return addresses;
    }
    const auto family = addresses.front().storage.ss_family;
    const auto others =
        std::stable_partition(addresses.begin(), addresses.end(), [family](const Address& address) {
            return address.storage.ss_family == family;
        });
    std::vector<Address> result;
    auto first = addresses.begin();
    auto second = others;
    while (result.size() < most && (first != others || second != addresses.end())) {
        if (first != others) {
            result.push_back(*first++);
        }
        if (second != addresses.end()) {
            result.push_back(*second++);
        }
    }
    return result;
}

/// On the own host, where nobody listens, TCP joins a socket to itself when its port happens to be the one it
/// looks for.
bool is_own(int socket, const Address& peer) noexcept {
    sockaddr_storage own{};
    socklen_t size = sizeof own;
    if (::getsockname(socket, reinterpret_cast<sockaddr*>(&own), &size) != 0 ||
        own.ss_family != peer.storage.ss_family) {
        return false;
    }
    if (own.ss_family == AF_INET) {
        const auto& one = reinterpret_cast<const sockaddr_in&>(own);
        const auto& other = reinterpret_cast<const sockaddr_in&>(peer.storage);
        return one.sin_port == other.sin_port && one.sin_addr.s_addr == other.sin_addr.s_addr;
    }
    const auto& one = reinterpret_cast<const sockaddr_in6&>(own);
    const auto& other = reinterpret_cast<const sockaddr_in6&>(peer.storage);
    return one.sin6_port == other.sin6_port && IN6_ARE_ADDR_EQUAL(&one.sin6_addr, &other.sin6_addr);
}

}  // namespace

/// A socket that is being connected.
struct Connector::Attempt final : EventHandler {
    Attempt(Connector& for_whom, const Address& to, base::Descriptor from) noexcept
        : connector(for_whom), address(to), socket(std::move(from)) {}
    void on_ready(std::uint32_t /*events*/) override { connector.ready(*this); }

    Connector& connector;
    const Address address;
    base::Descriptor socket;
};

Connector::Connector(Reactor& reactor, std::vector<Address> addresses, Done done)
    : reactor_(reactor), addresses_(in_turn(std::move(addresses), kMostAddresses)),
      done_(std::move(done)), timer_(reactor, [this] { go_on(); }) {
    attempts_.reserve(addresses_.size());
    timer_.start(std::chrono::milliseconds(0));
}

Connector::~Connector() {
    for (const auto& attempt : attempts_) {
        reactor_.remove(attempt->socket.get(), *attempt);
    }
}

void Connector::go_on() noexcept {
    try {
        try_next();
    } catch (const std::bad_alloc&) {
        finish({}, "out of memory");
    }
}

void Connector::try_next() {
    timer_.stop();
    while (next_ < addresses_.size()) {
        const Address& address = addresses_[next_++];
        const std::string why = begin(address);
        if (why.empty()) {
            if (next_ < addresses_.size()) {
                timer_.start(kPatience);
            }
            return;
        }
        note(address, why);
    }
    if (attempts_.empty()) {
        finish({}, errors_.empty() ? "there is no address" : std::exchange(errors_, {}));
    }
}

void Connector::finish(base::Descriptor socket, const std::string& error) {
    timer_.stop();
    const Done done = done_;  // may destroy this
    done(std::move(socket), error);
}

std::string Connector::begin(const Address& address) {
    base::Descriptor socket(::socket(address.storage.ss_family,
                                     SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
    if (!socket.valid()) {
        return std::strerror(errno);
    }
    const int on = 1;
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    // Loopback may be connected at once; it is ready to be written then, as any other is later.
    if (::connect(socket.get(), address.get(), address.size) != 0 && errno != EINPROGRESS) {
        return std::strerror(errno);
    }
    auto attempt = std::make_unique<Attempt>(*this, address, std::move(socket));
    if (!reactor_.add(attempt->socket.get(), *attempt, EPOLLOUT)) {
        return std::strerror(errno);
    }
    attempts_.push_back(std::move(attempt));
    return {};
}

void Connector::ready(Attempt& attempt) {
    int error = 0;
    socklen_t size = sizeof error;
    if (::getsockopt(attempt.socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
        error = errno;
    }
    if (error == 0 && is_own(attempt.socket.get(), attempt.address)) {
        error = ECONNREFUSED;
    }
    reactor_.remove(attempt.socket.get(), attempt);
    base::Descriptor socket = std::move(attempt.socket);
    const Address address = attempt.address;
    std::erase_if(attempts_, [&](const auto& one) { return one.get() == &attempt; });
    if (error == 0) {
        finish(std::move(socket), {});
        return;
    }
    note(address, std::strerror(error));
    go_on();
}

void Connector::note(const Address& address, const std::string& why) noexcept {
    try {
        errors_ += (errors_.empty() ? "" : "; ") + describe(address) + ": " + why;
    } catch (const std::bad_alloc&) {
        // Less is told then.
    }
}

}  // namespace websocket::net
