// SPDX-License-Identifier: Apache-2.0
#include "engine/connection.hpp"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <new>
#include <utility>

#include "engine/loop.hpp"

namespace websocket::engine {

using protocol::CloseCode;
using protocol::MessageType;
using protocol::Next;
using protocol::Opcode;

namespace {

/// A data frame of which this much is missing is received where it will stay.
constexpr std::size_t kDirectReceiveLeast = 16U << 10;
constexpr std::size_t kDirectReceiveMost = 256U << 10;

/// With a payload: there are clients that do not notice an empty Ping.
constexpr std::array<std::uint8_t, 4> kPingPayload{'p', 'i', 'n', 'g'};

/// Reads before the verdict on a peer: what its socket can hold, usually.
constexpr unsigned kMaxReadsALook = 16;

/// A read holds less than this; what it inflates to may hold much more, and others wait meanwhile.
constexpr std::size_t kMaxInflatedATurn = std::size_t{1} << 20;

}  // namespace

struct Connection::Inbound final : protocol::InflaterSource {
    explicit Inbound(Connection& owner) noexcept : connection(owner) {}

    Connection& connection;

    [[nodiscard]] protocol::InflaterSource* inflaters() noexcept {
        return connection.deflates_ ? this : nullptr;
    }
    [[nodiscard]] std::unique_ptr<protocol::Inflater> take_inflater() override {
        return connection.take_inflater();
    }
    [[nodiscard]] bool give_back(std::unique_ptr<protocol::Inflater> inflater,
                                 std::size_t size) noexcept override {
        inflated_ += size;
        connection.give_back(std::move(inflater));
        return inflated_ >= kMaxInflatedATurn;
    }
    [[nodiscard]] base::ByteBuffer& inflate_buffer() noexcept override {
        return connection.loop_.shared_deflate().inflate_buffer();
    }

    Next on_message(MessageType type, std::span<std::uint8_t> payload, base::ByteBuffer* owner) {
        return wants_parts() ? on_part(type, payload, true, true)
                             : connection.deliver(Message{type, payload, owner});
    }
    [[nodiscard]] bool wants_parts() const { return connection.options_->parts; }
    Next on_part(MessageType type, std::span<std::uint8_t> payload, bool first, bool last) {
        return connection.deliver(MessagePart{type, first, last, payload});
    }
    Next on_fragment() { return connection.admit_fragment() ? go_on() : Next::stop; }
    Next on_ping(std::span<const std::uint8_t> payload) {
        if (!connection.admit_control_frame()) return Next::stop;
        connection.answer_ping(payload);
        return go_on();
    }
    Next on_pong(std::span<const std::uint8_t> payload) {
        if (!connection.admit_control_frame()) return Next::stop;
        if (connection.state_ != State::parting) connection.session_->on_pong(payload);
        return go_on();
    }
    void on_close(std::uint16_t code, std::string_view reason) {
        connection.on_peer_close(code, reason);
    }
    void on_violation(const protocol::Violation& violation) {
        const CloseCode code = connection.known_to_peer(violation.code);
        connection.end_input(code, violation.reason, {static_cast<std::uint16_t>(code), false});
    }
    [[nodiscard]] Next go_on() const {
        return connection.reading() && connection.pause_ == 0 ? Next::more : Next::stop;
    }

private:
    std::size_t inflated_ = 0;  ///< bytes that compressed messages became
};

Connection::Connection(Loop& loop, Gate& gate, ConnectionId id) noexcept
    : loop_(loop), gate_(gate), id_(id) {}

Connection::~Connection() {
    if (registered_) {
        loop_.reactor().remove(transport_->descriptor(), *this);
    }
}

void Connection::prepare(std::unique_ptr<net::Transport> transport,
                         std::unique_ptr<Session> session, const ConnectionOptions& options,
                         unsigned version, base::ByteBuffer early_input) noexcept {
    transport_ = std::move(transport);
    session_ = std::move(session);
    options_ = &options;
    hybi_ = version < 13;
    unread_ = std::move(early_input);
}

void Connection::open() {
    note_life();
    if (options_->ping_interval.count() > 0) {
        loop_.reactor().set_time(*this, liveness_.last() + to_ticks(options_->ping_interval));
    }
    gate_.open();
    session_->on_open();  // may close at once
    account_read(unread_.size());
    loop_.mark_dirty(*this);
}

/// Nothing that a callback or the allocator throws may cost more than this connection.
template <class Work>
void Connection::guarded(Work work) noexcept {
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

// --- reading -------------------------------------------------------------------------------------

void Connection::on_ready(std::uint32_t events) {
    loop_.heartbeat().note(LoopWork::input, options_);
    constexpr std::uint32_t kBroken = EPOLLERR | EPOLLHUP;
    if ((events & EPOLLOUT) != 0) {
        note_life();  // a full socket has room again: the peer took something
    }
    if ((events & kBroken) != 0 && !watches_input_) {
        kill();
        return;
    }
    // What keeps the transport from reading may be that it has to write first.
    const std::uint32_t readable = kBroken | ((polled_ & EPOLLIN) != 0 ? EPOLLIN : EPOLLOUT);
    if ((events & readable) != 0 && watches_input_) {
        read_ready();
    }
    loop_.mark_dirty(*this);
}

/// True when there may be more.
bool Connection::read_ready() {
    if (!reading()) {
        return discard_input();
    }
    if (!unread_.empty()) {
        return false;  // it comes first
    }
    bool more = false;
    guarded([this, &more] {
        const auto window = reader_.receive_window(kDirectReceiveLeast, kDirectReceiveMost);
        loop_.heap_trim().note(window.size());
        const std::span<std::uint8_t> into = window.empty() ? loop_.read_buffer() : window;
        const net::IoResult result =
            transport_->read(into.first(std::min(into.size(), largest_read())));
        if (result.status == net::IoStatus::done) {
            more = true;
            note_life();
            const Corked corked(loop_.cork(), *this);
            if (window.empty()) {
                feed(into.first(result.count));
            } else {
                Inbound sink(*this);
                reader_.received(result.count, sink);
                leave_at_boundary();
            }
            account_read(result.count);
        } else if (result.status == net::IoStatus::closed) {
            on_end_of_stream();
        } else if (result.status == net::IoStatus::failed) {
            kill();
        } else if (result.count > 0) {
            note_life();
        }
    });
    return more;
}

void Connection::feed(std::span<std::uint8_t> bytes) {
    Inbound sink(*this);
    const std::size_t used = reader_.consume(bytes, options_->reader, sink);
    leave_at_boundary();
    if (reading() && used < bytes.size()) {
        unread_.append(bytes.subspan(used));
    }
}

bool Connection::discard_input() noexcept {
    const net::IoResult result = transport_->read(loop_.read_buffer());
    account_read(result.count);
    if (result.status == net::IoStatus::closed) {
        end_of_stream_ = true;
        after_flush();
    } else if (result.status == net::IoStatus::failed) {
        kill();
    }
    return result.status == net::IoStatus::done;
}

void Connection::on_end_of_stream() noexcept {
    end_of_stream_ = true;
    // Half a connection may still listen.
    end_input(CloseCode::internal_error, "stream ended without a Close",
              {static_cast<std::uint16_t>(CloseCode::abnormal), true});
}

Next Connection::deliver(Message message) {
    loop_.heap_trim().note(message.payload.size());
    if (state_ == State::parting) return Next::more;
    return admit_message() ? after_delivery(session_->on_message(message)) : Next::stop;
}

void Connection::answer_ping(std::span<const std::uint8_t> payload) {
    if (close_queued_) {
        return;  // nothing may follow a Close
    }
    if (!try_cork(protocol::EncodedHeader(Opcode::pong, payload.size()).bytes(), payload)) {
        push_counted(SharedFrame::build(Opcode::pong, payload));
    }
    if (gate_.queued() >= options_->send_buffer) {
        pause_ |= kForPeer;
    }
}

void Connection::on_peer_close(std::uint16_t code, std::string_view reason) noexcept {
    if (state_ == State::parting) {
        end_info_.clean = true;
        finish(end_info_);
        return;
    }
    if (!reason.empty()) {
        session_->on_close_reason(reason);
    }
    // RFC 6455 section 5.5.1: the answer says the same.
    const bool none = code == static_cast<std::uint16_t>(CloseCode::no_status);
    end_input(none ? CloseCode::normal : static_cast<CloseCode>(code), "",
              {code, state_ == State::open, true});
}

// --- turns of the loop ---------------------------------------------------------------------------

void Connection::service() {
    if (broken_) {
        kill();
        return;
    }
    if (reading() && pause_ == 0 && !unread_.empty()) {
        guarded([this] {
            const Corked corked(loop_.cork(), *this);
            base::ByteBuffer input = std::move(unread_);
            feed(input.bytes());
        });
    } else if (input_pending()) {
        read_ready();
    }
    flush();
    tell_writable();
    if (state_ == State::dead) {
        return;
    }
    if (gate_.queued() <= low_water()) {
        pause_ &= static_cast<std::uint8_t>(~kForPeer);
    }
    update_interest();
    if (input_pending() || (reading() && pause_ == 0 && !unread_.empty())) {
        loop_.mark_dirty(*this);  // others have their turn first
    }
}

bool Connection::takes_input() const noexcept {
    const bool ready = reading() ? pause_ == 0 && unread_.empty() : state_ != State::ending;
    return ready && !end_of_stream_ && state_ != State::dead;
}

bool Connection::input_pending() const noexcept { return takes_input() && transport_->pending(); }

void Connection::tell_writable() noexcept {
    const bool tell = room_again_ && in_session();
    room_again_ = false;
    if (tell) {
        guarded([this] {
            const Corked corked(loop_.cork(), *this);
            session_->on_writable();
        });
    }
}

void Connection::resume() noexcept {
    if (state_ == State::ending) {
        end_now();
    }
    pause_ &= static_cast<std::uint8_t>(~kForSession);
    loop_.mark_dirty(*this);
}

void Connection::recover_lost_requests() {
    if (state_ == State::open && gate_.closing()) {
        fail(CloseCode::internal_error, "out of memory");
    }
    resume();
}

void Connection::update_interest() noexcept {
    watches_input_ = takes_input();
    const auto events =
        static_cast<std::uint8_t>(transport_->poll_events(watches_input_, !outbox_.empty()));
    if (registered_ && events == polled_) {
        return;
    }
    net::Reactor& reactor = loop_.reactor();
    if (!(registered_ ? reactor.change(transport_->descriptor(), *this, events)
                      : reactor.add(transport_->descriptor(), *this, events))) {
        loop_.log().write(base::LogLevel::error,
                          "WS0303: epoll_ctl failed, closing one connection");
        kill();
        return;
    }
    registered_ = true;
    polled_ = events;
}

// --- time ----------------------------------------------------------------------------------------

void Connection::note_life() noexcept {
    liveness_.note(loop_.reactor().now(), state_ == State::open);
}

/// epoll may not have told of what the peer has sent: others were in front of it, or the process was
/// stopped. Nobody is judged by the clock before this was done.
void Connection::look() {
    for (unsigned i = 0; i < kMaxReadsALook && takes_input() && read_ready(); ++i) {
    }
    loop_.mark_dirty(*this);
}

void Connection::on_time() noexcept {
    const Tick now = loop_.reactor().now();
    if (state_ == State::open) {
        keep_alive(now);
        return;
    }
    if (overslept(now, deadline)) {
        start_close_timer();  // the time was not the peer's, nor the plugin's
        return;
    }
    if (state_ != State::ending) {
        look();
    }
    if (state_ == State::dead) {
        return;
    }
    if (state_ == State::ending) {
        if (leaving_ && loop_.draining()) {
            start_close_timer();  // for answers there is time until the end of the drain
            return;
        }
        end_now();  // the plugin takes too long
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
    if (state_ == State::dead) {
        return;
    }
    const Tick now = loop_.reactor().now();
    liveness_.begin_close(now, transport_->untaken());
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
    return liveness_.awaits_pong() && state_ == State::open;
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
    if (state_ != State::open) {
        return;  // the timer is that of the close
    }
    if (deflate_ != nullptr) {
        deflate_->rest(now, interval);
    }
    if (liveness_.silent(now, interval) && !liveness_.awaits_pong()) {
        liveness_.begin_ping(now, transport_->untaken());
        guarded([this] { push_counted(SharedFrame::build(Opcode::ping, kPingPayload)); });
    }
    if (state_ == State::open) {
        loop_.reactor().set_time(*this, liveness_.next_look(now, interval, timeout));
    }
}

// --- the end -------------------------------------------------------------------------------------

void Connection::fail(CloseCode code, const char* reason) noexcept {
    if (!in_session()) {
        return;
    }
    if (state_ != State::parting) {
        end_code_ = known_to_peer(code);
        end_reason_ = reason;
        end_info_ = {static_cast<std::uint16_t>(end_code_), false};
        awaits_answer_ = false;
    }
    end_now();
}

void Connection::fail_without_memory() noexcept {
    report_no_memory(loop_.log());
    fail(CloseCode::internal_error, "out of memory");
}

Connection::Departure Connection::cut_short(CloseCode code, const char* reason) noexcept {
    const bool told = leaving_;
    const Departure departure = !in_session() || state_ == State::parting ? Departure::in_order
                                : told ? Departure::forced_though_told
                                       : Departure::forced;
    fail(code, reason);
    return departure;
}

/// The stream of messages is over. What came before is answered first.
void Connection::end_input(CloseCode code, const char* reason, const CloseInfo& info) noexcept {
    if (!reading()) {
        return;
    }
    if (state_ == State::parting) {
        finish(end_info_);
        return;
    }
    end_code_ = code;
    end_reason_ = reason;
    end_info_ = info;
    if (!awaits_answer_) {
        unread_.reset();
    }
    if (session_->drained()) {
        end_now();
        return;
    }
    if (state_ == State::open) {
        start_close_timer();
    }
    state_ = State::ending;
    loop_.mark_dirty(*this);
}

void Connection::end_now() noexcept {
    if (!close_queued_ && *end_reason_ != '\0') {
        loop_.log().print(base::LogLevel::debug, "WS0304: closing a connection with %u: %s",
                          static_cast<unsigned>(end_code_), end_reason_);
        if (end_info_.code == static_cast<std::uint16_t>(end_code_)) {
            session_->on_close_reason(end_reason_);
        }
    }
    const CloseInfo info = end_info_;
    queue_close_frame(end_code_, end_reason_);
    if (awaits_answer_ && state_ < State::parting) {
        await_answer();
        return;
    }
    finish(info);
}

void Connection::finish(const CloseInfo& how) noexcept {
    if (!in_session()) {
        return;
    }
    const CloseInfo info = state_ == State::parting ? end_info_ : how;
    record_ending(info);
    if (state_ == State::open) {
        start_close_timer();
    }
    state_ = State::finishing;
    unread_.reset();
    loop_.mark_dirty(*this);
    loop_.forget(id_);
    gate_.close(id_.generation());
    if (gate_.retire()) {
        loop_.wake_senders();
    }
    retired_ = true;
    if (member_) {
        loop_.end_memberships(*this);
    }
    session_.release()->on_close(info);
}

void Connection::kill() noexcept {
    if (state_ == State::dead) {
        return;
    }
    finish({static_cast<std::uint16_t>(CloseCode::abnormal), false});
    state_ = State::dead;
    loop_.reactor().clear_time(*this);
    stop_pause_timer();
    loop_.mark_dirty(*this);
}

}  // namespace websocket::engine
