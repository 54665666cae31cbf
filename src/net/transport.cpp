// SPDX-License-Identifier: Apache-2.0
#include "net/transport.hpp"

#include <linux/sockios.h>
#include <sys/ioctl.h>

namespace websocket::net {

std::uint32_t untaken_by_peer(int socket) noexcept {
    int bytes = 0;
    return ::ioctl(socket, SIOCOUTQ, &bytes) == 0 ? static_cast<std::uint32_t>(bytes) : 0;
}

}  // namespace websocket::net
