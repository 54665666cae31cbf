// SPDX-License-Identifier: Apache-2.0
// What is kept about a connection where somebody asked for it: counts for a log, what it has used of
// its rates, and whatever has to be given back when it is gone.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/rate_limits.hpp"
#include "protocol/close_code.hpp"

namespace websocket::engine {

/// Bytes are those of frames as the transport carries them, headers included and encryption not;
/// messages are data messages, whole ones.
struct Traffic {
    std::uint64_t bytes_in = 0;
    std::uint64_t bytes_out = 0;
    std::uint64_t messages_in = 0;
    std::uint64_t messages_out = 0;
};

/// Who ended a connection.
enum class Ender : std::uint8_t {
    client,   ///< its Close, or the end of its stream, came first
    server,   ///< the session, a limit, or the end of the process
    network,  ///< the connection broke
    backend,  ///< of a tunnel: its Close, or the end of its stream, came first
};

struct Ending {
    /// 0 where nobody knows: of a tunnel whose frames are passed on unseen.
    std::uint16_t code = static_cast<std::uint16_t>(protocol::CloseCode::abnormal);
    Ender by = Ender::network;
    const char* reason = nullptr;  ///< static text: why this server closed; null for no reason
};

/// Belongs to its connection and is destroyed with it, when the transport is closed, or when the
/// connection never came to life. A connection has none unless somebody wants one.
class ConnectionRecord {
public:
    /// Throws std::bad_alloc.
    explicit ConnectionRecord(const RateLimits& rates)
        : meter(rates.any() ? std::make_unique<RateMeter>() : nullptr) {}
    ConnectionRecord(const ConnectionRecord&) = delete;
    ConnectionRecord& operator=(const ConnectionRecord&) = delete;
    /// [loop, or whatever thread gives a place back]
    virtual ~ConnectionRecord() = default;

    Traffic traffic;                         ///< [loop]
    Ending ending;                           ///< set when the session ends [loop]
    const std::unique_ptr<RateMeter> meter;  ///< null where no rate is configured
};

}  // namespace websocket::engine
