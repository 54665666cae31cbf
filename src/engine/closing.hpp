// SPDX-License-Identifier: Apache-2.0
// How far the end of a WebSocket connection is, and what both sides are told of it.
#pragma once

#include <cstdint>

#include "engine/connection_record.hpp"
#include "engine/session.hpp"
#include "protocol/close_code.hpp"

namespace websocket::engine {

/// Knows no socket, no timer and no session: who calls a transition does what belongs to it. [loop]
///
///     open ---> closing --------------------> finishing ---> lingering
///       |          |                              ^
///       +----------+---> ending ---> (parting) ---+
///
/// A connection may be finished in each of the first four.
class Closing {
public:
    enum class State : std::uint8_t {
        open,
        closing,    ///< our Close is queued; messages still come in until the peer's Close
        ending,     ///< nothing more is read; the session still handles what it has
        parting,    ///< our Close is queued; messages are read and discarded until the peer's
        finishing,  ///< the session is gone; what is queued goes out
        lingering,  ///< our side is shut; the rest is read and discarded until the peer's side is
    };
    using Code = protocol::CloseCode;

    [[nodiscard]] State state() const noexcept { return state_; }
    [[nodiscard]] bool open() const noexcept { return state_ == State::open; }
    [[nodiscard]] bool reading() const noexcept {
        return state_ == State::open || state_ == State::closing || state_ == State::parting;
    }
    /// The session has not been told of the end.
    [[nodiscard]] bool in_session() const noexcept { return state_ <= State::parting; }
    /// Nothing of ours may follow.
    [[nodiscard]] bool close_queued() const noexcept { return close_queued_; }
    /// leave() was called.
    [[nodiscard]] bool leaving() const noexcept { return leaving_; }
    /// The session stays until the peer has answered our Close.
    [[nodiscard]] bool awaits_answer() const noexcept { return awaits_answer_; }

    // What our Close says, and what the session hears.
    [[nodiscard]] Code code() const noexcept { return code_; }
    [[nodiscard]] const char* reason() const noexcept { return reason_; }
    [[nodiscard]] const CloseInfo& info() const noexcept { return info_; }
    /// The peer's version of the protocol is 7 or 8.
    void set_hybi() noexcept { hybi_ = true; }
    /// What this server says with `code`, in the peer's version.
    [[nodiscard]] Code known_to_peer(Code code) const noexcept {
        return code == Code::too_big && hybi_ ? Code::too_big_hybi : code;
    }

    // --- transitions ---

    /// The Close of the application is queued.
    void begin_close() noexcept {
        state_ = State::closing;
        close_queued_ = true;
    }
    /// A Close is queued, or nothing can be any more.
    void end_output() noexcept { close_queued_ = true; }

    /// The connection is to end between two messages. False when it ends already.
    [[nodiscard]] bool leave(Code code, const char* reason) noexcept {
        if (!open() || leaving_) {
            return false;
        }
        leaving_ = true;
        code_ = code;
        reason_ = reason;
        return true;
    }
    /// Between two messages: what leave() said is done with end_input(). False without leave().
    [[nodiscard]] bool begin_leaving() noexcept {
        if (!leaving_ || !open()) {
            return false;
        }
        awaits_answer_ = true;
        return true;
    }

    /// This server ends it, whatever was going on. A Close that waits for its answer was that already.
    void fail(Code code, const char* reason) noexcept {
        if (state_ != State::parting) {
            const Code known = known_to_peer(code);
            end_input(known, reason, {static_cast<std::uint16_t>(known), false});
            awaits_answer_ = false;
        }
    }
    /// The stream of messages is over.
    void end_input(Code code, const char* reason, const CloseInfo& info) noexcept {
        code_ = code;
        reason_ = reason;
        info_ = info;
    }
    /// The session still has messages to handle.
    void await_session() noexcept { state_ = State::ending; }
    /// Our Close is queued.
    void await_answer() noexcept { state_ = State::parting; }
    /// The peer has answered it.
    void answered() noexcept { info_.clean = true; }
    /// The session is told; the result is what. `how` counts unless it was decided before.
    [[nodiscard]] CloseInfo finish(const CloseInfo& how) noexcept {
        const CloseInfo info = state_ == State::parting ? info_ : how;
        state_ = State::finishing;
        return info;
    }
    /// All is written, and our side is shut.
    void linger() noexcept { state_ = State::lingering; }

    /// What a log says, if the session is told `how` now: before finish().
    [[nodiscard]] Ending ending(const CloseInfo& how) const noexcept;

private:
    const char* reason_ = nullptr;
    CloseInfo info_{};
    Code code_{};
    State state_ : 3 = State::open;
    bool hybi_ : 1 = false;
    bool close_queued_ : 1 = false;
    bool leaving_ : 1 = false;
    bool awaits_answer_ : 1 = false;
};

}  // namespace websocket::engine
