// SPDX-License-Identifier: Apache-2.0
#include "net/address.hpp"

#include <netdb.h>

#include <array>

namespace websocket::net {

std::string describe(const Address& address) {
    std::array<char, NI_MAXHOST> host{};
    std::array<char, NI_MAXSERV> port{};
    if (::getnameinfo(address.get(), address.size, host.data(), host.size(), port.data(),
                      port.size(), NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        return "an unknown address";
    }
    const std::string name = host.data();
    return (address.storage.ss_family == AF_INET6 ? '[' + name + ']' : name) + ':' + port.data();
}

}  // namespace websocket::net
