// SPDX-License-Identifier: Apache-2.0
#include "engine/closing.hpp"

namespace websocket::engine {

Ending Closing::ending(const CloseInfo& how) const noexcept {
    const CloseInfo info = state_ == State::parting ? info_ : how;
    Ending ending;
    ending.code = info.code;
    ending.reason = reason_ != nullptr && *reason_ != '\0' ? reason_ : nullptr;
    if (info.by_peer || (state_ == State::ending && info_.by_peer)) {
        ending.by = Ender::client;
    } else {
        const bool clean = info.code != static_cast<std::uint16_t>(Code::abnormal);
        const bool broke = open() && !clean && reason_ == nullptr;
        ending.by = broke ? Ender::network : Ender::server;
    }
    return ending;
}

}  // namespace websocket::engine
