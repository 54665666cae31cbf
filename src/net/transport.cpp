// SPDX-License-Identifier: Apache-2.0
#include "net/transport.hpp"

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstddef>

namespace websocket::net {

namespace {

std::uint32_t untaken_of(int socket) noexcept {
    int bytes = 0;
    return ::ioctl(socket, SIOCOUTQ, &bytes) == 0 ? static_cast<std::uint32_t>(bytes) : 0;
}

}  // namespace

Delivery delivery_of(int socket) noexcept {
    const std::uint32_t untaken = untaken_of(socket);
    tcp_info info{};
    socklen_t size = sizeof info;
    const bool tells = ::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
                       size >= offsetof(tcp_info, tcpi_bytes_acked) + sizeof info.tcpi_bytes_acked;
    // A socket that is not TCP's tells the first only, which falls when nothing is written meanwhile.
    return {untaken, tells ? static_cast<std::uint32_t>(info.tcpi_bytes_acked) : 0 - untaken};
}

std::uint64_t received_by(int socket) noexcept {
    tcp_info info{};
    socklen_t size = sizeof info;
    return ::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? info.tcpi_bytes_received
                                                                          : 0;
}

}  // namespace websocket::net
