// SPDX-License-Identifier: Apache-2.0
// The part of a connection that writes: what callbacks send, what waits, and the Close.
#include <array>
#include <new>
#include <utility>

#include "engine/connection.hpp"
#include "engine/loop.hpp"

namespace websocket::engine {

using protocol::CloseCode;
using protocol::Opcode;

namespace {

constexpr std::size_t kGather = 64;

}  // namespace

SendResult Connection::transmit_as_is(Opcode opcode, std::span<const std::uint8_t> payload,
                                      bool compressed) {
    if (retired_ || broken_) return SendResult::gone;
    if (gate_.closing()) return SendResult::closing;
    const protocol::EncodedHeader header(opcode, payload.size(), true, compressed);
    const std::size_t octets = header.bytes().size() + payload.size();
    if (octets >= Gate::kMaxQueued) return SendResult::too_big;

    if (loop_.corked(*this) && outbox_.empty() && !streaming_) {
        account_sent(header.bytes().front());
        if (loop_.cork_has_room(*this, octets)) {
            loop_.cork_append(header.bytes(), payload);
            return SendResult::ok;
        }
        return loop_.write_through(*this, header.bytes(), payload) ? SendResult::ok
                                                                   : SendResult::gone;
    }
    if (const SendResult result = admit(octets); result != SendResult::ok) {
        return result;
    }
    try {
        enqueue(SharedFrame::build(opcode, payload, true, compressed));
    } catch (const std::bad_alloc&) {
        account_written(octets);
        return SendResult::no_memory;
    }
    return SendResult::ok;
}

void Connection::push_counted(SharedFrame frame) {
    loop_.uncork(*this);
    keep_unwritten(std::move(frame));
}

void Connection::keep_unwritten(SharedFrame frame) {
    const std::size_t octets = frame.bytes().size();
    loop_.heap_trim().note(octets);
    outbox_.push(std::move(frame));
    if (!retired_) {
        gate_.add(octets);
    }
    loop_.mark_dirty(*this);
}

void Connection::enqueue_close(SharedFrame close) {
    if (state_ == State::open) {
        push_counted(std::move(close));
        state_ = State::closing;
        close_queued_ = true;
        start_close_timer();
    }
    if (!retired_ && gate_.end_wait()) {
        loop_.wake_senders();
    }
}

void Connection::queue_close_frame(CloseCode code, const char* reason) noexcept {
    if (close_queued_) {
        return;
    }
    close_queued_ = true;
    gate_.close(id_.generation());
    const protocol::ClosePayload payload(code, reason);
    if (outbox_.empty()) {
        // Allocates nothing, so that it also works when memory is what is missing.
        const protocol::EncodedHeader header(Opcode::close, payload.bytes().size());
        static_cast<void>(loop_.write_through(*this, header.bytes(), payload.bytes()));
        return;
    }
    try {
        push_counted(SharedFrame::build(Opcode::close, payload.bytes()));
    } catch (const std::bad_alloc&) {
        kill();
    }
}

CloseCode Connection::known_to_peer(CloseCode code) const noexcept {
    return code == CloseCode::too_big && hybi_ ? CloseCode::too_big_hybi : code;
}

void Connection::flush() noexcept {
    bool deflated = false;  // one part of a message: then others have their turn
    while (!outbox_.empty() && state_ != State::dead) {
        std::array<iovec, kGather> slots;
        const std::size_t count = outbox_.gather(slots);
        if (count == 0) {
            if (deflated) {
                loop_.mark_dirty(*this);
                return;
            }
            deflated = true;
            deflate_next();
            continue;
        }
        const net::IoResult result = transport_->write({slots.data(), count});
        if (result.status == net::IoStatus::would_block) {
            return;
        }
        if (result.status != net::IoStatus::done) {
            kill();
            return;
        }
        if ((polled_ & EPOLLOUT) != 0) {
            note_life();  // the socket was full: the peer has taken something
        }
        outbox_.drop_front(result.count);
        account_written(result.count);
        account_wire(result.count);
    }
    after_flush();
}

/// Nothing may follow what was written in part. A callback may be on the stack: service() ends it.
void Connection::break_off() noexcept {
    broken_ = true;
    close_queued_ = true;
    loop_.mark_dirty(*this);
}

void Connection::account_written(std::size_t octets) noexcept {
    if (!retired_ && gate_.release(octets, low_water()) && gate_.end_wait()) {
        loop_.wake_senders();
        room_again_ = true;
        loop_.mark_dirty(*this);
    }
}

void Connection::after_flush() noexcept {
    if (!outbox_.empty()) {
        return;
    }
    if (state_ == State::finishing) {
        if (!transport_->shutdown_write()) {
            return;  // service() comes back
        }
        state_ = State::lingering;
    }
    if (state_ == State::lingering && end_of_stream_) {
        kill();
    }
}

}  // namespace websocket::engine
