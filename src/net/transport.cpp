// SPDX-License-Identifier: Apache-2.0
#include "net/transport.hpp"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>

namespace websocket::net {

namespace {

/// The begin of what the kernel answers. glibc 2.36 knows less of it, and <linux/tcp.h>, which knows all, cannot stand
/// beside its header.
struct TcpInfo {
    std::array<std::uint64_t, 13> others;
    std::uint64_t pacing_rate;
    std::uint64_t max_pacing_rate;
    std::uint64_t bytes_acked;
    std::uint64_t bytes_received;
};
static_assert(offsetof(tcp_info, tcpi_total_retrans) + sizeof(std::uint32_t) ==
              offsetof(TcpInfo, pacing_rate));

/// False when the socket is not TCP's.
bool ask(int socket, TcpInfo& info) noexcept {
    socklen_t size = sizeof info;
    return ::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && size == sizeof info;
}

std::uint32_t untaken_of(int socket) noexcept {
    int bytes = 0;
    return ::ioctl(socket, SIOCOUTQ, &bytes) == 0 ? static_cast<std::uint32_t>(bytes) : 0;
}

}  // namespace

Delivery delivery_of(int socket) noexcept {
    const std::uint32_t untaken = untaken_of(socket);
    TcpInfo info{};
    // Of one that is not TCP's the first is known only, which falls when nothing is written meanwhile.
    return {untaken,
            ask(socket, info) ? static_cast<std::uint32_t>(info.bytes_acked) : 0 - untaken};
}

std::uint64_t received_by(int socket) noexcept {
    TcpInfo info{};
    return ask(socket, info) ? info.bytes_received : 0;
}

}  // namespace websocket::net
