// SPDX-License-Identifier: Apache-2.0
// The part of a connection that reads: what the peer sends, on its way to the session.
#include <sys/epoll.h>

#include <algorithm>
#include <utility>

#include "engine/connection.hpp"
#include "engine/loop.hpp"

namespace websocket::engine {

using protocol::CloseCode;
using protocol::MessageType;
using protocol::Next;
using protocol::Opcode;
using State = Closing::State;

namespace {

/// A read holds less than this; what it inflates to may hold much more, and others wait meanwhile.
constexpr std::size_t kMaxInflatedATurn = std::size_t{1} << 20;

}  // namespace

struct Connection::Sink final : protocol::InflaterSource {
    explicit Sink(Connection& owner) noexcept : connection(owner) {}

    Connection& connection;

    [[nodiscard]] protocol::InflaterSource* inflaters() noexcept {
        return connection.deflates_ ? this : nullptr;
    }
    [[nodiscard]] std::unique_ptr<protocol::Inflater> take_inflater() override {
        return connection.deflate_.take_inflater(connection.deflate_means());
    }
    [[nodiscard]] bool give_back(std::unique_ptr<protocol::Inflater> inflater,
                                 std::size_t size) noexcept override {
        inflated_ += size;
        connection.deflate_.give_back(std::move(inflater), connection.deflate_means());
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
        if (connection.closing_.state() == State::parting) return go_on();
        return connection.after_delivery(connection.session_->on_pong(payload));
    }
    void on_close(std::uint16_t code, std::string_view reason) {
        connection.on_peer_close(code, reason);
    }
    void on_violation(const protocol::Violation& violation) {
        const CloseCode code = connection.closing_.known_to_peer(violation.code);
        connection.end_input(code, violation.reason, {static_cast<std::uint16_t>(code), false});
    }
    [[nodiscard]] Next go_on() const {
        return connection.closing_.reading() && !connection.paused() ? Next::more : Next::stop;
    }

private:
    std::size_t inflated_ = 0;  ///< bytes that compressed messages became
};

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
    if (!settled()) {
        loop_.mark_dirty(*this);
    }
}

/// service() would find nothing to do, as after most messages: all was read, handled and written.
bool Connection::settled() const noexcept {
    return closing_.open() && !paused() && outbox_.empty() && !inbound_.has_unread() &&
           !(broken_ || dead_ || end_of_stream_ || room_again_) && watches_input_ &&
           !transport_.pending() && polled_ == transport_.poll_events(true, false);
}

std::span<std::uint8_t> Connection::read_buffer() const noexcept {
    constexpr std::size_t kShort = 64U << 10;
    const std::span<std::uint8_t> whole = loop_.read_buffer();
    return session_->keeps_messages() ? whole.first(kShort) : whole;
}

/// True when there may be more.
bool Connection::read_ready() {
    if (!closing_.reading()) {
        return discard_input();
    }
    if (inbound_.has_unread()) {
        return false;  // it comes first
    }
    bool more = false;
    guarded([this, &more] {
        const auto window = inbound_.window();
        loop_.heap_trim().note(window.size());
        const std::span<std::uint8_t> into = window.empty() ? read_buffer() : window;
        const net::IoResult result =
            transport_.read(into.first(std::min(into.size(), largest_read())));
        if (result.status == net::IoStatus::done) {
            more = true;
            note_life();
            const Corked corked(loop_.cork(), *this);
            if (window.empty()) {
                feed(into.first(result.count));
            } else {
                Sink sink(*this);
                inbound_.consume_received(result.count, sink);
                if (closing_.leaving()) {
                    leave_at_boundary();
                }
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
    Sink sink(*this);
    const std::span<std::uint8_t> rest = inbound_.consume(bytes, options_->reader, sink);
    if (closing_.leaving()) {
        leave_at_boundary();
    }
    if (closing_.reading() && !rest.empty()) {
        inbound_.keep(rest);
    }
}

bool Connection::discard_input() noexcept {
    const net::IoResult result = transport_.read(loop_.read_buffer());
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
    if (closing_.state() == State::parting) return Next::more;
    return admit_message() ? after_delivery(session_->on_message(message)) : Next::stop;
}

void Connection::answer_ping(std::span<const std::uint8_t> payload) {
    if (closing_.close_queued()) {
        return;  // nothing may follow a Close
    }
    if (!try_cork(Opcode::pong, payload)) {
        push_counted(SharedFrame::build(Opcode::pong, payload));
    }
    if (gate_.full(options_->send_buffer)) {
        pause(kForPeer);
    }
}

void Connection::on_peer_close(std::uint16_t code, std::string_view reason) noexcept {
    if (closing_.state() == State::parting) {
        closing_.answered();
        finish(closing_.info());
        return;
    }
    if (!reason.empty()) {
        session_->on_close_reason(reason);
    }
    // RFC 6455 section 5.5.1: the answer says the same.
    const bool none = code == static_cast<std::uint16_t>(CloseCode::no_status);
    end_input(none ? CloseCode::normal : static_cast<CloseCode>(code), "",
              {code, closing_.open(), true});
}

Next Connection::deliver(MessagePart part) {
    if (closing_.state() == State::parting) return Next::more;
    return !part.last || admit_message() ? after_delivery(session_->on_part(part)) : Next::stop;
}

Next Connection::after_delivery(Flow flow) noexcept {
    if (flow == Flow::pause) {
        pause(kForSession);
    }
    if (gate_.full(options_->send_buffer)) {
        pause(kForPeer);
    }
    return closing_.reading() && !(paused() || closing_.leaving() || misordered_) ? Next::more
                                                                                  : Next::stop;
}

bool Connection::takes_input() const noexcept {
    const bool ready = closing_.reading() ? !paused() && !inbound_.has_unread()
                                          : closing_.state() != State::ending;
    return ready && !end_of_stream_ && !dead_;
}

bool Connection::input_pending() const noexcept { return takes_input() && transport_.pending(); }

void Connection::read_unread() {
    const Corked corked(loop_.cork(), *this);
    base::ByteBuffer input = inbound_.take_unread();
    feed(input.bytes());
}

void Connection::hold(bool still) noexcept {
    still ? pause(kForApplication) : end_pause(kForApplication);
    loop_.mark_dirty(*this);
}

}  // namespace websocket::engine
