// SPDX-License-Identifier: Apache-2.0
// How fine the clock of connections is.
#pragma once

#include <chrono>

#include "net/timer_wheel.hpp"

namespace websocket::engine {

using net::Tick;
constexpr std::chrono::milliseconds kTickLength{64};

[[nodiscard]] constexpr Tick to_ticks(std::chrono::milliseconds duration) noexcept {
    return net::to_ticks(duration, kTickLength);
}

}  // namespace websocket::engine
