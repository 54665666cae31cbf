// SPDX-License-Identifier: Apache-2.0
#include "engine/connection.hpp"

#include <sys/epoll.h>

#include <algorithm>
#include <new>
#include <utility>

#include "engine/loop.hpp"

namespace websocket::engine {

using protocol::CloseCode;
using protocol::Opcode;
using State = Closing::State;

Connection::Connection(Loop& loop, Gate& gate, ConnectionId id) noexcept : Channel(loop, gate, id) {
    is_connection_ = true;
}

void Connection::prepare(net::AnyTransport transport, std::unique_ptr<Session> session,
                         const ConnectionOptions& options, unsigned version,
                         base::ByteBuffer early_input) noexcept {
    Channel::prepare(std::move(transport), std::move(session), options);
    if (version < 13) {
        closing_.set_hybi();
    }
    inbound_.begin_with(std::move(early_input));
}

void Connection::abandon() noexcept {
    session_.release()->on_close({static_cast<std::uint16_t>(CloseCode::abnormal), false});
}

void Connection::open() {
    note_life();
    if (options_->ping_interval.count() > 0) {
        loop_.reactor().set_time(*this, liveness_.last() + to_ticks(options_->ping_interval));
    }
    gate_.open();
    session_->on_open();  // may close at once
    account_read(inbound_.unread());
    loop_.mark_dirty(*this);
}

/// From where the exception is caught.
void Connection::fail_for_exception() noexcept {
    const base::ExceptionText exception;
    loop_.log().print(base::LogLevel::error, "WS0302: plugin threw, closing one connection%s%s",
                      exception.separator, exception.text);
    fail(CloseCode::internal_error, "plugin failed");
}

// --- turns of the loop ---------------------------------------------------------------------------

void Connection::service() {
    if (broken_) {
        kill();
        return;
    }
    if (misordered_) {
        fail(CloseCode::internal_error, "parts of a message out of order");
    }
    if (closing_.leaving()) {
        leave_at_boundary();
    }
    if (closing_.reading() && !paused() && inbound_.has_unread()) {
        guarded([this] { read_unread(); });
    } else if (input_pending()) {
        read_ready();
    }
    if (flush()) {
        after_flush();
    }
    tell_writable();
    if (dead_) {
        return;
    }
    if (gate_.has_room(low_water())) {
        end_pause(kForPeer);
    }
    if (!poll(takes_input())) {
        loop_.log().write(base::LogLevel::error,
                          "WS0303: epoll_ctl failed, closing one connection");
        kill();
        return;
    }
    if (input_pending() || (closing_.reading() && !paused() && inbound_.has_unread())) {
        loop_.mark_dirty(*this);  // others have their turn first
    }
}

void Connection::tell_writable() noexcept {
    const bool tell = room_again_ && closing_.in_session();
    room_again_ = false;
    if (tell) {
        guarded([this] {
            const Corked corked(loop_.cork(), *this);
            session_->on_writable();
        });
    }
}

void Connection::resume() noexcept {
    if (closing_.state() == State::ending) {
        end_now();
    }
    end_pause(kForSession);
    loop_.mark_dirty(*this);
}

void Connection::recover_lost_requests() {
    if (closing_.open() && gate_.closing()) {
        fail(CloseCode::internal_error, "out of memory");
    }
    resume();
}

// --- time ----------------------------------------------------------------------------------------

void Connection::note_life() noexcept { liveness_.note(loop_.reactor().now(), closing_.open()); }

/// epoll may not have told of what the peer has sent: others were in front of it, or the process was
/// stopped. Nobody is judged by the clock before this was done.
void Connection::look() {
    for (unsigned i = 0; i < kMaxReadsALook && takes_input() && read_ready(); ++i) {
    }
    loop_.mark_dirty(*this);
}

void Connection::on_time() noexcept {
    const Tick now = loop_.reactor().now();
    if (closing_.open()) {
        keep_alive(now);
        return;
    }
    if (overslept(now, deadline)) {
        start_close_timer();  // the time was not the peer's, nor the session's
        return;
    }
    if (closing_.state() != State::ending) {
        look();
    }
    if (dead_) {
        return;
    }
    if (closing_.state() == State::ending) {
        if (closing_.leaving() && loop_.draining()) {
            start_close_timer();  // for answers there is time until the end of the drain
            return;
        }
        end_now();  // the session takes too long
        start_close_timer();
        return;
    }
    const Tick timeout = to_ticks(options_->close_timeout);
    const bool takes = takes_bytes();
    if (takes) {
        note_life();
    }
    if (liveness_.may_go_on(now, timeout) && (takes || !outbox_.empty())) {
        loop_.reactor().set_time(*this,
                                 liveness_.last() + timeout);  // slow, but taking what is queued
        return;
    }
    finish({static_cast<std::uint16_t>(CloseCode::abnormal), false});
    kill();
}

void Connection::start_close_timer() noexcept {
    if (dead_) {
        return;
    }
    const Tick now = loop_.reactor().now();
    liveness_.begin_close(now, transport_.delivery());
    loop_.reactor().set_time(*this, now + to_ticks(options_->close_timeout));
}

/// The verdict on a Ping whose time is up.
bool Connection::gives_no_sign_of_life(Tick now) {
    if (overslept(now, deadline)) {
        liveness_.prolong(now);
        return false;
    }
    look();
    if (takes_bytes()) {
        note_life();
    }
    return liveness_.awaits_pong() && closing_.open();
}

void Connection::keep_alive(Tick now) {
    if (!takes_input() && outbox_.empty()) {
        // What the peer has sent meanwhile is unread, and it has taken all that was sent to it.
        liveness_.excuse(now);
    }
    const Tick interval = to_ticks(options_->ping_interval);
    const Tick timeout = to_ticks(options_->pong_timeout);
    if (liveness_.overdue(now, timeout) && gives_no_sign_of_life(now)) {
        fail(CloseCode::internal_error, "no sign of life after a Ping");
    }
    if (!closing_.open()) {
        return;  // the timer is that of the close
    }
    deflate_.rest(now, interval);
    if (liveness_.silent(now, interval) && !liveness_.awaits_pong()) {
        liveness_.begin_ping(now, transport_.delivery());
        guarded([this] { push_counted(SharedFrame::build(Opcode::ping, kPingPayload)); });
    }
    if (closing_.open()) {
        loop_.reactor().set_time(*this, liveness_.next_look(now, interval, timeout));
    }
}

// --- the end -------------------------------------------------------------------------------------

bool Connection::leave(CloseCode code, const char* reason) noexcept {
    if (!closing_.leave(code, reason)) {
        return false;
    }
    leave_at_boundary();
    return true;
}

void Connection::leave_at_boundary() noexcept {
    if (inbound_.at_boundary() && !streaming_ && closing_.begin_leaving()) {
        const CloseCode code = closing_.code();
        end_input(code, closing_.reason(), {static_cast<std::uint16_t>(code), false});
    }
}

void Connection::announce_drain(std::chrono::milliseconds left) noexcept {
    if (!announced_ && closing_.in_session()) {
        announced_ = true;
        session_->on_drain(left);
    }
}

/// What still comes is read and discarded, as only the peer's Close matters.
void Connection::await_answer() noexcept {
    closing_.await_answer();
    end_pauses();
    start_close_timer();
    loop_.mark_dirty(*this);
}

void Connection::fail(CloseCode code, const char* reason) noexcept {
    if (closing_.in_session()) {
        closing_.fail(code, reason);
        end_now();
    }
}

Departure Connection::cut_short(CloseCode code, const char* reason) noexcept {
    const bool in_order = !closing_.in_session() || closing_.state() == State::parting;
    const Departure departure = in_order             ? Departure::in_order
                                : closing_.leaving() ? Departure::forced_though_told
                                                     : Departure::forced;
    fail(code, reason);
    return departure;
}

/// The stream of messages is over. What came before is answered first.
void Connection::end_input(CloseCode code, const char* reason, const CloseInfo& info) noexcept {
    if (!closing_.reading()) {
        return;
    }
    if (closing_.state() == State::parting) {
        finish(closing_.info());
        return;
    }
    closing_.end_input(code, reason, info);
    if (!closing_.awaits_answer()) {
        inbound_.drop_unread();
    }
    if (session_->drained()) {
        end_now();
        return;
    }
    if (closing_.open()) {
        start_close_timer();
    }
    closing_.await_session();
    loop_.mark_dirty(*this);
}

void Connection::on_rate_exceeded(const char* reason) noexcept {
    end_input(CloseCode::policy_violation, reason,
              {static_cast<std::uint16_t>(CloseCode::policy_violation), false});
}

void Connection::end_now() noexcept {
    const CloseCode code = closing_.code();
    const char* reason = closing_.reason();
    if (!closing_.close_queued() && *reason != '\0') {
        loop_.log().print(base::LogLevel::debug, "WS0304: closing a connection with %u: %s",
                          static_cast<unsigned>(code), reason);
        if (closing_.info().code == static_cast<std::uint16_t>(code)) {
            session_->on_close_reason(reason);
        }
    }
    const CloseInfo info = closing_.info();
    queue_close_frame(code, reason, !closing_.awaits_answer());
    if (closing_.awaits_answer() && closing_.state() < State::parting) {
        await_answer();
        return;
    }
    finish(info);
}

void Connection::finish(const CloseInfo& how) noexcept {
    if (!closing_.in_session()) {
        return;
    }
    if (record_ != nullptr) {
        record_->ending = closing_.ending(how);
    }
    if (closing_.open()) {
        start_close_timer();
    }
    const CloseInfo info = closing_.finish(how);
    inbound_.drop_unread();
    loop_.mark_dirty(*this);
    retire();
    session_.release()->on_close(info);
}

void Connection::after_flush() noexcept {
    if (!outbox_.empty()) {
        return;  // service() comes back
    }
    if (closing_.state() == State::finishing) {
        if (!transport_.shutdown_write()) {
            return;  // service() comes back
        }
        closing_.linger();
    }
    if (closing_.state() == State::lingering && end_of_stream_) {
        kill();
    }
}

void Connection::kill() noexcept {
    if (dead_) {
        return;
    }
    finish({static_cast<std::uint16_t>(CloseCode::abnormal), false});
    die();
}

}  // namespace websocket::engine
