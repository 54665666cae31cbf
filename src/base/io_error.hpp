// SPDX-License-Identifier: Apache-2.0
// What errno says after a system call on a socket that does not block.
#pragma once

#include <cerrno>

namespace websocket::base {

/// Nothing can be read or written now, but later. [any thread]
[[nodiscard]] inline bool would_block(int error) noexcept {
    return error == EAGAIN || error == EWOULDBLOCK;
}

}  // namespace websocket::base
