// SPDX-License-Identifier: Apache-2.0
// The application's end of a connection.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/byte_buffer.hpp"
#include "engine/connection_id.hpp"
#include "protocol/frame.hpp"

namespace websocket::engine {

struct Message {
    protocol::MessageType type;
    std::span<std::uint8_t> payload;  ///< may be modified; valid during the call only
    base::ByteBuffer* owner;          ///< not null: holds exactly `payload` and may be moved from
};

/// What has come of a message, for sessions that do not want to wait for all of it.
struct MessagePart {
    protocol::MessageType type;
    bool first;
    bool last;
    std::span<std::uint8_t> payload;  ///< may be modified; valid during the call only
};

/// Why a connection ended.
struct CloseInfo {
    std::uint16_t code;  ///< as sent or received first; 1005 for none, 1006 for no Close at all
    bool by_peer;        ///< the peer's Close or end of stream came before ours
    bool clean = false;  ///< a Close of the peer has come
};

/// What the session wants to happen to the socket.
enum class Flow : std::uint8_t {
    more,   ///< keep reading
    pause,  ///< read nothing more until Engine::resume()
};

/// Implemented above the engine. The engine owns a session until on_close(), which hands it over
/// to itself: an asynchronous session can finish its work first and then delete itself.
class Session {
public:
    Session() noexcept = default;
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    virtual ~Session() = default;

    /// The connection is live: sends go out from now on. First call, exactly once. [loop]
    virtual void on_open() noexcept = 0;

    /// A whole data message. Whatever it throws fails the connection with 1011. [loop]
    virtual Flow on_message(Message message) = 0;

    /// What is given to on_message() next will be kept. Then a read is short, so that the rest of a long message is
    /// received where it will stay, instead of being copied once it is whole. [loop]
    [[nodiscard]] virtual bool keeps_messages() const noexcept { return false; }

    /// Instead of on_message() when the options ask for parts. [loop]
    virtual Flow on_part(MessagePart /*part*/) { return Flow::more; }

    /// A Pong; the payload is valid during the call only. May throw like on_message(). [loop]
    virtual Flow on_pong(std::span<const std::uint8_t> /*payload*/) { return Flow::more; }

    /// After Engine::tell_when_writable(): little enough is queued. May throw like on_message().
    /// [loop]
    virtual void on_writable() {}

    /// The reason in the Close that on_close() is going to name; valid during the call only. [loop]
    virtual void on_close_reason(std::string_view /*reason*/) noexcept {}

    /// The process is going to end: the connection will be closed within `left`. Before on_close(),
    /// at most once; does not come when the end is too near. [loop]
    virtual void on_drain(std::chrono::milliseconds /*left*/) noexcept {}

    /// Nothing more is read from the peer. True when none is on its way to the application and so no
    /// answer is on its way back; else the session calls Engine::resume() once all are handled, and
    /// what they send goes out before the Close. [loop]
    [[nodiscard]] virtual bool drained() noexcept { return true; }

    /// Last call, exactly once, whatever went wrong; owns itself from here. [loop]
    virtual void on_close(const CloseInfo& info) noexcept = 0;
};

}  // namespace websocket::engine
