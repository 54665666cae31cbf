// SPDX-License-Identifier: Apache-2.0
// How a connection leaves a process that is about to end: a Close between two messages, then the
// peer's answer.
#include "engine/connection.hpp"
#include "engine/loop.hpp"

namespace websocket::engine {

using protocol::CloseCode;

bool Connection::leave(CloseCode code, const char* reason) noexcept {
    if (state_ != State::open || leaving_) {
        return false;
    }
    leaving_ = true;
    end_code_ = code;
    end_reason_ = reason;
    leave_at_boundary();
    return true;
}

void Connection::leave_at_boundary() noexcept {
    if (leaving_ && state_ == State::open && reader_.at_boundary()) {
        awaits_answer_ = true;
        end_input(end_code_, end_reason_, {static_cast<std::uint16_t>(end_code_), false});
    }
}

void Connection::announce_drain(std::chrono::milliseconds left) noexcept {
    if (!announced_ && in_session()) {
        announced_ = true;
        session_->on_drain(left);
    }
}

/// What still comes is read and discarded, as only the peer's Close matters.
void Connection::await_answer() noexcept {
    state_ = State::parting;
    pause_ = 0;
    start_close_timer();
    loop_.mark_dirty(*this);
}

}  // namespace websocket::engine
