// SPDX-License-Identifier: Apache-2.0
// What plugins of ABI version 1 are told of a send.
#pragma once

#include "plugin/v1/v1_host.hpp"
#include "plugin/v1/v1_instance.hpp"

namespace websocket::plugin {

/// Of the flags of a send.
[[nodiscard]] constexpr engine::Compression compression_of(std::uint32_t flags) noexcept {
    return (flags & WS_UNCOMPRESSED) != 0 ? engine::Compression::none
                                          : engine::Compression::as_agreed;
}

/// Calls `send(engine, high_water)`, which has the session told, until the answer is final, and
/// translates it. Takes care that on_writable comes when it has to. [any thread]
template <class Send>
[[nodiscard]] ws_result send_result(V1Instance& instance, engine::ConnectionId id, Send send,
                                    engine::Passage passage = engine::Passage::behind) noexcept {
    engine::Engine& engine = instance.host().engine;
    const Endpoint& endpoint = instance.endpoint();
    const std::size_t high_water = endpoint.connection.send_buffer;
    for (;;) {
        switch (send(engine, high_water)) {
            case engine::SendResult::ok: return WS_OK;
            case engine::SendResult::queued: return WS_QUEUED;
            case engine::SendResult::full: break;
            case engine::SendResult::closing:
            case engine::SendResult::gone: return WS_GONE;
            case engine::SendResult::too_big: return WS_TOO_BIG;
            case engine::SendResult::no_memory: return WS_NO_MEMORY;
        }
        if (endpoint.session.slow_consumer == SlowConsumer::close) {
            engine.close(id, engine::too_slow());
            return WS_FULL;
        }
        if (engine.tell_when_writable(id, high_water / 2, passage)) {
            return WS_FULL;
        }
        // There is room by now: nobody would say so later.
    }
}

}  // namespace websocket::plugin
