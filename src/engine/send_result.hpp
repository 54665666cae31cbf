// SPDX-License-Identifier: Apache-2.0
// What has become of a message that somebody wanted to send.
#pragma once

#include <cstdint>

#include "engine/gate.hpp"

namespace websocket::engine {

/// Answer to a send.
enum class SendResult : std::uint8_t {
    ok,         ///< on the wire or queued
    queued,     ///< the same, to who wants to know: Session::on_writable() will be called
    full,       ///< not queued: the peer is too slow
    closing,    ///< not queued: a Close is on its way
    gone,       ///< the connection has ended
    too_big,    ///< not queued: beyond Gate::kMaxQueued, or a control frame beyond 125 bytes
    no_memory,  ///< not queued
};

[[nodiscard]] constexpr SendResult to_result(Admission admission) noexcept {
    switch (admission) {
        case Admission::accepted: break;
        case Admission::full: return SendResult::full;
        case Admission::closing: return SendResult::closing;
        case Admission::gone: return SendResult::gone;
        case Admission::too_big: return SendResult::too_big;
    }
    return SendResult::ok;
}

/// Whether a message is compressed on its way.
enum class Compression : std::uint8_t {
    as_agreed,
    none,  ///< it is compressed already, or its length must not give away what is in it
};

}  // namespace websocket::engine
