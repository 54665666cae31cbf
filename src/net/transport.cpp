// SPDX-License-Identifier: Apache-2.0
#include "net/transport.hpp"

#include <linux/sockios.h>
#include <sys/ioctl.h>

namespace websocket::net {

std::uint32_t Transport::untaken() const noexcept {
    int octets = 0;
    return ::ioctl(descriptor(), SIOCOUTQ, &octets) == 0 ? static_cast<std::uint32_t>(octets) : 0;
}

}  // namespace websocket::net
