// SPDX-License-Identifier: Apache-2.0
#include "engine/event_stream.hpp"

#include <sys/epoll.h>

#include <algorithm>
#include <new>
#include <utility>

#include "engine/event_form.hpp"
#include "engine/loop.hpp"

namespace websocket::engine {

using protocol::CloseCode;
using protocol::Opcode;

namespace {

constexpr auto kNoClose = static_cast<std::uint16_t>(CloseCode::abnormal);

}  // namespace

EventStream::EventStream(Loop& loop, Gate& gate, ConnectionId id) noexcept
    : Channel(loop, gate, id) {
    is_event_stream_ = true;
}

void EventStream::prepare(net::AnyTransport transport, std::unique_ptr<Session> session,
                          const ConnectionOptions& options,
                          const EventStreamOptions& how) noexcept {
    Channel::prepare(std::move(transport), std::move(session), options);
    framing_ = how.framing;
    retry_ = static_cast<std::uint32_t>(how.retry.count());
}

void EventStream::abandon() noexcept { session_.release()->on_close({kNoClose, false}); }

void EventStream::open() {
    const Tick now = loop_.reactor().now();
    liveness_.note(now, true);
    if (options_->ping_interval.count() > 0) {
        loop_.reactor().set_time(*this, now + to_ticks(options_->ping_interval));
    }
    guarded([this] {
        if (retry_ > 0) {
            send_text(protocol::retry_field(std::chrono::milliseconds(retry_)));
        }
    });
    if (state_ == State::open) {
        gate_.open();
    }
    session_->on_open();
    loop_.mark_dirty(*this);
}

/// What a callback or the allocator throws costs this stream only.
template <class Work>
void EventStream::guarded(Work work) noexcept {
    try {
        work();
    } catch (const std::bad_alloc&) {
        fail_without_memory();
    } catch (...) {
        const base::ExceptionText exception;
        loop_.log().print(base::LogLevel::error, "WS0302: plugin threw, closing one connection%s%s",
                          exception.separator, exception.text);
        fail(CloseCode::internal_error, "plugin failed");
    }
}

// --- turns of the loop ---------------------------------------------------------------------------

void EventStream::on_ready(std::uint32_t events) {
    loop_.heartbeat().note(LoopWork::input, options_);
    constexpr std::uint32_t kBroken = EPOLLERR | EPOLLHUP;
    if ((events & kBroken) != 0 && !watches_input_) {
        kill();
        return;
    }
    if ((events & EPOLLOUT) != 0) {
        on_taken();  // the socket was full; maybe it has room for a part of a record only
    }
    // What keeps the transport from reading may be that it has to write first.
    const std::uint32_t readable = kBroken | ((polled_ & EPOLLIN) != 0 ? EPOLLIN : EPOLLOUT);
    if ((events & readable) != 0 && watches_input_) {
        read();
    }
    loop_.mark_dirty(*this);
}

/// Requests that were sent behind this one, or what is none: no answer will follow, as its head has said.
void EventStream::read() {
    const std::span<std::uint8_t> into = loop_.read_buffer();
    const net::IoResult result = transport_.read(into.first(std::min(into.size(), largest_read())));
    if (record_ != nullptr && result.count > 0) {
        record_read(result.count, state_ == State::open);
    }
    if (result.status == net::IoStatus::closed) {
        end_of_stream_ = true;
        begin_end({kNoClose, true}, Ender::client, nullptr);
        after_flush();
    } else if (result.status == net::IoStatus::failed) {
        kill();
    }
}

void EventStream::service() {
    if (broken_) {
        kill();
        return;
    }
    leave_at_boundary();
    if (state_ == State::ending) {
        finish();
    }
    if (takes_input() && transport_.pending()) {
        read();
    }
    const bool waiting = !outbox_.empty();
    if (flush()) {
        after_flush();
    }
    if (waiting) {
        note_written();
    }
    tell_writable();
    if (dead_) {
        return;
    }
    if (!poll(takes_input())) {
        loop_.log().write(base::LogLevel::error,
                          "WS0303: epoll_ctl failed, closing one connection");
        kill();
        return;
    }
    if (takes_input() && transport_.pending()) {
        loop_.mark_dirty(*this);  // others have their turn first
    }
}

void EventStream::tell_writable() noexcept {
    const bool tell = room_again_ && state_ == State::open;
    room_again_ = false;
    if (tell) {
        guarded([this] { session_->on_writable(); });
    }
}

void EventStream::recover_lost_requests() {
    if (state_ == State::open && gate_.closing()) {
        fail(CloseCode::internal_error, "out of memory");
    }
}

// --- messages ------------------------------------------------------------------------------------

void EventStream::send_text(std::string_view text) { queue(framed_text(text, framing_)); }

SharedFrame EventStream::encode(Opcode opcode, bool fin, std::span<const std::uint8_t> payload,
                                std::string_view fields) {
    if (opcode == Opcode::ping) {
        return framed_text(protocol::kEventComment, framing_);
    }
    if (protocol::is_control(opcode)) {
        return {};
    }
    const bool first = opcode != Opcode::continuation;
    if (first && fin) {
        protocol::EventEncoder whole;
        return encode_event(whole, {protocol::message_type(opcode), true, true, payload, fields},
                            framing_);
    }
    if (first) {
        streamed_ = protocol::message_type(opcode);
    }
    return encode_event(encoder_, {streamed_, first, fin, payload, fields}, framing_);
}

void EventStream::push(Opcode opcode, bool fin, SharedFrame event) {
    const bool control = protocol::is_control(opcode);
    const bool part = is_part(opcode, fin);
    if (event) {
        loop_.heap_trim().note(event.bytes().size());
    }
    if (part && fin) {
        end_parts(std::move(event));
    } else if (event) {
        streaming_ && !part ? park(std::move(event)) : outbox_.push(std::move(event));
    }
    streaming_ = part ? !fin : streaming_;
    if (record_ != nullptr && fin && !control) {
        ++record_->traffic.messages_out;
    }
    loop_.mark_dirty(*this);
}

template <class Make>
SendResult EventStream::send_now(Opcode opcode, bool fin, Make make) noexcept {
    if (retired_ || broken_) return SendResult::gone;
    if (state_ != State::open || gate_.closing()) return SendResult::closing;
    if (is_out_of_order(opcode, fin, streaming_)) {
        fail(CloseCode::internal_error, "parts of a message out of order");
        return SendResult::closing;
    }
    const protocol::EventEncoder before = encoder_;
    SendResult result = SendResult::no_memory;
    try {
        SharedFrame event = make();
        const std::size_t size = event.bytes().size();
        result = admit(size, passage_of(opcode, fin), [&] { push(opcode, fin, std::move(event)); });
    } catch (const std::bad_alloc&) {
        result = SendResult::no_memory;
    }
    if (result != SendResult::ok) {
        encoder_ = before;
    }
    return result;
}

SendResult EventStream::transmit(Opcode opcode, std::span<const std::uint8_t> payload,
                                 Compression /*compression*/) noexcept {
    return send_now(opcode, true, [&] { return encode(opcode, true, payload, {}); });
}

SendResult EventStream::transmit(const SharedFrame& frame, Compression /*compression*/) noexcept {
    const NextFrame only = next_frame(frame.bytes());
    return send_now(only.opcode, only.fin, [&] {
        return frame.is_plain_message()
                   ? event_form(frame, framing_)
                   : encode(only.opcode, only.fin, only.payload, event_fields_of(frame));
    });
}

void EventStream::enqueue(const SharedFrame& frames) {
    const std::size_t admitted = frames.bytes().size();
    try {
        queue_all(frames);
    } catch (...) {
        account_written(admitted);
        throw;
    }
    account_written(admitted);  // behind what they became: nobody is told of room in between
}

void EventStream::queue_all(const SharedFrame& frames) {
    std::span<const std::uint8_t> rest = frames.bytes();
    while (!rest.empty() && state_ == State::open && !broken_) {
        const NextFrame frame = next_frame(rest);
        const bool alone = frame.size == frames.bytes().size();
        if (is_out_of_order(frame.opcode, frame.fin, streaming_)) {
            fail(CloseCode::internal_error, "parts of a message out of order");
            return;
        }
        SharedFrame event = alone && frames.is_plain_message()
                                ? event_form(frames, framing_)
                                : encode(frame.opcode, frame.fin, frame.payload,
                                         alone ? event_fields_of(frames) : std::string_view{});
        const std::size_t size = event.bytes().size();
        gate_.add(size);
        try {
            push(frame.opcode, frame.fin, std::move(event));
        } catch (...) {
            account_written(size);
            throw;
        }
        rest = rest.subspan(frame.size);
    }
}

bool EventStream::enqueue_shared(const SharedFrame& frame) {
    if (state_ != State::open || broken_) {
        return true;
    }
    if (gate_.full(options_->send_buffer)) {
        return false;
    }
    queue_all(frame);
    return true;
}

bool EventStream::write_shared(const SharedFrame& frame) {
    if (state_ != State::open || broken_ || streaming_ || !outbox_.empty() ||
        !frame.is_plain_message()) {
        return false;
    }
    SharedFrame event;
    try {
        event = event_form(frame, framing_);
    } catch (const std::bad_alloc&) {
        return false;
    }
    const bool healthy = write_or_queue(event);
    note_written();
    if (record_ != nullptr) {
        ++record_->traffic.messages_out;
    }
    if (!healthy) {
        broken_ = true;  // service() ends it
        loop_.mark_dirty(*this);
    }
    return true;
}

// --- time ----------------------------------------------------------------------------------------

void EventStream::on_taken() noexcept {
    liveness_.note(loop_.reactor().now(), state_ == State::open);
}

/// The next comment is due when it was so long quiet; that it was taken nobody has said.
void EventStream::note_written() noexcept { liveness_.note(loop_.reactor().now(), false); }

void EventStream::on_time() noexcept {
    const Tick now = loop_.reactor().now();
    if (state_ == State::open) {
        keep_alive(now);
    } else {
        end_in_time(now);
    }
}

/// A client says nothing; that its system has acknowledged all is its sign of life.
void EventStream::keep_alive(Tick now) noexcept {
    const Tick interval = to_ticks(options_->ping_interval);
    const Tick timeout = to_ticks(options_->pong_timeout);
    const net::Delivery delivery = transport_.delivery();
    if (outbox_.empty() && delivery.untaken == 0) {
        liveness_.note(liveness_.last(), true);
    } else if (!liveness_.awaits_pong() || liveness_.takes(delivery)) {
        liveness_.begin_ping(now, delivery);
    } else if (liveness_.overdue(now, timeout)) {
        if (!overslept(now, deadline)) {
            fail(CloseCode::going_away, "takes nothing of what it is sent");
            return;
        }
        liveness_.prolong(now);
    }
    if (liveness_.silent(now, interval) && outbox_.empty() && !streaming_) {
        guarded([this] { send_text(protocol::kEventComment); });
        note_written();
        if (!liveness_.awaits_pong()) {
            liveness_.begin_ping(now, delivery);
        }
    }
    if (state_ == State::open) {
        loop_.reactor().set_time(*this, liveness_.next_look(now, interval, timeout));
    }
}

void EventStream::start_close_timer() noexcept {
    const Tick now = loop_.reactor().now();
    liveness_.begin_close(now, transport_.delivery());
    loop_.reactor().set_time(*this, now + to_ticks(options_->close_timeout));
}

void EventStream::end_in_time(Tick now) noexcept {
    if (overslept(now, deadline)) {
        start_close_timer();  // the time was not the client's
        return;
    }
    const Tick timeout = to_ticks(options_->close_timeout);
    const bool takes = liveness_.takes(transport_.delivery());
    if (takes) {
        liveness_.note(now, false);
    }
    if (liveness_.may_go_on(now, timeout) && (takes || !outbox_.empty())) {
        loop_.reactor().set_time(*this,
                                 liveness_.last() + timeout);  // slow, but taking what is queued
        return;
    }
    kill();
}

// --- the end -------------------------------------------------------------------------------------

void EventStream::announce_drain(std::chrono::milliseconds left) noexcept {
    if (!std::exchange(announced_, true) && state_ == State::open) {
        session_->on_drain(left);
    }
}

/// The first reason counts. A callback of the session may be on the stack, so service() tells it.
void EventStream::begin_end(const CloseInfo& info, Ender by, const char* reason) noexcept {
    if (state_ != State::open) {
        return;
    }
    state_ = State::ending;
    info_ = info;
    close_gate();
    if (record_ != nullptr) {
        record_->ending = {info.code, by, reason};
    }
    if (reason != nullptr && *reason != '\0') {
        loop_.log().print(base::LogLevel::debug, "WS0304: closing a connection with %u: %s",
                          static_cast<unsigned>(info.code), reason);
        session_->on_close_reason(reason);
    }
    end_pauses();
    start_close_timer();
    loop_.mark_dirty(*this);
}

void EventStream::on_rate_exceeded(const char* reason) noexcept {
    fail(CloseCode::policy_violation, reason);
}

void EventStream::fail(CloseCode code, const char* reason) noexcept {
    begin_end({static_cast<std::uint16_t>(code), false}, Ender::server, reason);
}

bool EventStream::leave(CloseCode code, const char* reason) noexcept {
    if (state_ != State::open || leave_reason_ != nullptr) {
        return false;
    }
    info_.code = static_cast<std::uint16_t>(code);
    leave_reason_ = reason;
    leave_at_boundary();
    return true;
}

void EventStream::leave_at_boundary() noexcept {
    if (leave_reason_ != nullptr && !streaming_) {
        fail(static_cast<CloseCode>(info_.code), leave_reason_);
    }
}

/// Nothing of what has to be answered is lost: clients send nothing.
Departure EventStream::cut_short(CloseCode code, const char* reason) noexcept {
    const bool cuts = state_ == State::open && streaming_;
    fail(code, reason);
    return !cuts                      ? Departure::in_order
           : leave_reason_ != nullptr ? Departure::forced_though_told
                                      : Departure::forced;
}

void EventStream::enqueue_close(const SharedFrame& close) noexcept {
    constexpr std::size_t kCode = 2;
    const auto payload = next_frame(close.bytes()).payload;
    const auto code = payload.size() < kCode
                          ? static_cast<std::uint16_t>(CloseCode::no_status)
                          : static_cast<std::uint16_t>(payload[0] << 8 | payload[1]);
    begin_end({code, false}, Ender::server, nullptr);
}

/// The session hears of the end. What is queued goes out, and behind it the end of the body.
void EventStream::finish() noexcept {
    if (session_ == nullptr) {
        return;
    }
    state_ = State::finishing;
    try {
        if (framing_ == protocol::BodyFraming::chunked && !broken_) {
            queue(SharedFrame::join(text_bytes(protocol::kLastChunk), {}));
        }
    } catch (const std::bad_alloc&) {
        broken_ = true;
    }
    retire();
    session_.release()->on_close(info_);
    loop_.mark_dirty(*this);
}

void EventStream::after_flush() noexcept {
    if (!outbox_.empty()) {
        return;  // service() comes back
    }
    if (state_ == State::finishing) {
        if (!transport_.shutdown_write()) {
            return;  // service() comes back
        }
        state_ = State::lingering;
    }
    if (state_ == State::lingering && end_of_stream_) {
        kill();
    }
}

void EventStream::kill() noexcept {
    if (dead_) {
        return;
    }
    begin_end({kNoClose, false}, Ender::network, nullptr);
    broken_ = true;
    finish();
    die();
}

}  // namespace websocket::engine
