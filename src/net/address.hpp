// SPDX-License-Identifier: Apache-2.0
// Where a TCP connection leads.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <string>

namespace websocket::net {

/// Of the internet, with the port.
struct Address {
    sockaddr_storage storage;
    socklen_t size;

    [[nodiscard]] const sockaddr* get() const noexcept {
        return reinterpret_cast<const sockaddr*>(&storage);
    }
};

/// For people: "127.0.0.1:80" or "[::1]:80". Throws std::bad_alloc. [any thread]
[[nodiscard]] std::string describe(const Address& address);

}  // namespace websocket::net
