// SPDX-License-Identifier: Apache-2.0
// Frames that others have encoded, among them messages in parts; and reading on demand.
#include <new>
#include <utility>

#include "engine/connection.hpp"
#include "engine/loop.hpp"

namespace websocket::engine {

using protocol::CloseCode;
using protocol::Next;
using protocol::Opcode;

Next Connection::deliver(MessagePart part) {
    if (state_ == State::parting) return Next::more;
    return !part.last || admit_message() ? after_delivery(session_->on_part(part)) : Next::stop;
}

Next Connection::after_delivery(Flow flow) noexcept {
    if (flow == Flow::pause) {
        pause_ |= kForSession;
    }
    if (gate_.queued() >= options_->send_buffer) {
        pause_ |= kForPeer;
    }
    return reading() && pause_ == 0 && !leaving_ ? Next::more : Next::stop;
}

SendResult Connection::transmit_as_is(const SharedFrame& frame) {
    if (retired_ || broken_) return SendResult::gone;
    const SendResult admitted = admit(frame.bytes().size());
    if (admitted == SendResult::ok) {
        try {
            enqueue(frame);
        } catch (const std::bad_alloc&) {
            account_written(frame.bytes().size());
            return SendResult::no_memory;
        }
    }
    return admitted;
}

SendResult Connection::admit(std::size_t bytes) noexcept {
    return to_result(gate_.admit(id_.generation(), bytes, options_->send_buffer));
}

/// A message in parts may be interrupted by control frames only (RFC 6455 section 5.4).
Connection::Turn Connection::turn_of(const SharedFrame& frame) noexcept {
    const std::uint8_t first = frame.bytes().front();
    const auto opcode = static_cast<Opcode>(first & protocol::kOpcodeBits);
    const bool fin = (first & protocol::kFin) != 0;
    if (protocol::is_control(opcode)) {
        return Turn::now;
    }
    if (opcode != Opcode::continuation && streaming_) {
        return fin ? Turn::later : Turn::never;
    }
    if (opcode == Opcode::continuation && !streaming_) {
        return Turn::never;
    }
    streaming_ = !fin;
    return Turn::now;
}

void Connection::enqueue(SharedFrame frame) {
    const std::size_t bytes = frame.bytes().size();
    loop_.heap_trim().note(bytes);
    if (close_queued_) {
        account_written(bytes);  // it lost the race against the Close
        return;
    }
    account_sent(frame.bytes().front());
    const bool was_streaming = streaming_;
    switch (turn_of(frame)) {
        case Turn::now: break;
        case Turn::later: outbox_.park(std::move(frame)); return;
        case Turn::never:
            account_written(bytes);
            fail(CloseCode::internal_error, "parts of a message out of order");
            return;
    }
    if (was_streaming && !streaming_) {
        uncork();
        outbox_.push(std::move(frame));
        outbox_.unpark();
        loop_.mark_dirty(*this);
        return;
    }
    if (try_cork(frame.bytes(), {})) {
        account_written(bytes);
        if (pause_ != 0) {
            loop_.mark_dirty(*this);
        }
        return;
    }
    uncork();
    outbox_.push(std::move(frame));
    loop_.mark_dirty(*this);
}

void Connection::hold(bool still) noexcept {
    pause_ =
        static_cast<std::uint8_t>(still ? pause_ | kForApplication : pause_ & ~kForApplication);
    loop_.mark_dirty(*this);
}

}  // namespace websocket::engine
