// SPDX-License-Identifier: Apache-2.0
// How the local bus knows what epoll talks about: a number, never a pointer, so that an event that
// was reported together with the end of its link does no harm.
#pragma once

#include <cstdint>

namespace websocket::hub::tag {

constexpr std::uint64_t kInbox = 0;
constexpr std::uint64_t kListener = 1;
constexpr std::uint64_t kIncoming = std::uint64_t{2} << 32;  ///< and the descriptor
constexpr std::uint64_t kOutgoing = std::uint64_t{3} << 32;  ///< and the slot
constexpr std::uint64_t kKind = ~std::uint64_t{UINT32_MAX};

}  // namespace websocket::hub::tag
