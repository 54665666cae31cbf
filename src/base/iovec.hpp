// SPDX-License-Identifier: Apache-2.0
// Bytes as system calls that write want them.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>

namespace websocket::base {

/// writev(2) and its like do not write through the pointer; iovec just has no const.
[[nodiscard]] inline iovec to_iovec(std::span<const std::uint8_t> bytes) noexcept {
    return {const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
}

}  // namespace websocket::base
