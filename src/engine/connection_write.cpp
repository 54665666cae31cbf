// SPDX-License-Identifier: Apache-2.0
// The part of a connection that writes: what callbacks send, what waits, and the Close.
#include <algorithm>
#include <array>
#include <new>
#include <utility>

#include "base/iovec.hpp"
#include "engine/connection.hpp"
#include "engine/loop.hpp"

namespace websocket::engine {

using protocol::CloseCode;
using protocol::Opcode;

namespace {

constexpr std::size_t kGather = 64;

}  // namespace

Corked::Corked(Cork& cork, Connection& connection) noexcept : cork_(cork), outer_(cork.owner()) {
    if (outer_ != nullptr && outer_ != &connection) {
        outer_->uncork();
    }
    cork_.set_owner(&connection);
}

Corked::~Corked() {
    if (outer_ == cork_.owner()) {
        return;
    }
    if (!cork_.empty()) {
        static_cast<void>(cork_.owner()->write_through({}, {}));
    }
    cork_.set_owner(outer_);
}

SendResult Connection::transmit(Opcode opcode, std::span<const std::uint8_t> payload,
                                Compression compression) {
    if (retired_ || broken_) return SendResult::gone;
    if (gate_.closing()) return SendResult::closing;
    const std::span<const std::uint8_t> plain = payload;
    if (deflates_ && compression == Compression::as_agreed &&
        agreed().applies_to(opcode, payload.size())) [[unlikely]] {
        SendResult result{};
        const auto deflated = deflate_now(opcode, payload, result);
        if (!deflated) {
            return result;
        }
        payload = *deflated;
    }
    const bool compressed = payload.data() != plain.data();
    const SendResult result =
        transmit_frame(protocol::EncodedHeader(opcode, payload.size(), true, compressed), payload);
    if (compressed && result != SendResult::ok) {
        forget_deflated();
    }
    return result;
}

inline SendResult Connection::transmit_frame(const protocol::EncodedHeader& header,
                                             std::span<const std::uint8_t> payload) {
    const std::size_t bytes = header.bytes().size() + payload.size();
    if (bytes >= Gate::kMaxQueued) return SendResult::too_big;

    if (corked() && outbox_.empty() && !streaming_) {
        account_sent(header.bytes().front());
        return loop_.cork().append(header.bytes(), payload) ||
                       write_through(header.bytes(), payload)
                   ? SendResult::ok
                   : SendResult::gone;
    }
    if (const SendResult result = admit(bytes); result != SendResult::ok) {
        return result;
    }
    try {
        enqueue(SharedFrame::join(header.bytes(), payload));
    } catch (const std::bad_alloc&) {
        account_written(bytes);
        return SendResult::no_memory;
    }
    return SendResult::ok;
}

bool Connection::corked() const noexcept { return loop_.cork().owner() == this; }

/// A frame that may leave behind what is corked, and before what waits: there is nothing.
bool Connection::try_cork(std::span<const std::uint8_t> header,
                          std::span<const std::uint8_t> payload) noexcept {
    return corked() && outbox_.empty() && loop_.cork().append(header, payload);
}

void Connection::uncork() noexcept {
    if (corked() && !loop_.cork().empty()) {
        static_cast<void>(write_through({}, {}));
    }
}

/// Writes what is corked, then the frame, without copying; queues what the socket did not take. False
/// when the connection is broken.
bool Connection::write_through(std::span<const std::uint8_t> header,
                               std::span<const std::uint8_t> payload) noexcept {
    Cork& cork = loop_.cork();
    const bool corked_here = corked();
    std::array<std::span<const std::uint8_t>, 3> parts{
        corked_here ? cork.bytes() : std::span<const std::uint8_t>{}, header, payload};
    std::array<iovec, 3> slots;
    std::size_t used = 0;
    for (const std::span<const std::uint8_t> part : parts) {
        if (!part.empty()) {
            slots.at(used++) = base::to_iovec(part);
        }
    }
    const net::IoResult result = transport_->write({slots.data(), used});
    account_wire(result.count);
    std::size_t written = result.count;
    for (std::span<const std::uint8_t>& part : parts) {
        const std::size_t whole = std::min(written, part.size());
        part = part.subspan(whole);
        written -= whole;
    }
    bool healthy = result.status != net::IoStatus::failed && result.status != net::IoStatus::closed;
    try {
        // What is left of the cork has to be copied anyway; a large payload becomes a frame's tail.
        for (std::size_t i = 0; healthy && i < parts.size(); i += 2) {
            const std::span<const std::uint8_t> behind =
                i + 1 < parts.size() ? parts.at(i + 1) : std::span<const std::uint8_t>{};
            if (!parts.at(i).empty() || !behind.empty()) {
                keep_unwritten(SharedFrame::join(parts.at(i), behind));
            }
        }
    } catch (const std::bad_alloc&) {
        healthy = false;
    }
    if (corked_here) {
        cork.clear();
    }
    if (!healthy) {
        break_off();
    }
    return healthy;
}

bool Connection::enqueue_shared(const SharedFrame& frame) {
    // Unlike a sender, a broadcast may pass the gate behind close(): it was there first.
    if (close_queued_ || retired_ || broken_) {
        return true;
    }
    if (gate_.queued() >= options_->send_buffer) {
        return false;
    }
    const bool deflate = deflates_ && frame.is_plain_message() &&
                         agreed().applies_to(frame.opcode(), frame.payload().size());
    const bool in_context = deflate && agreed().server_takeover;
    SharedFrame form = deflate && !in_context ? wire_form(frame) : frame;
    const std::size_t bytes = form.bytes().size();
    gate_.add(bytes);
    try {
        in_context ? enqueue_plain(std::move(form)) : enqueue(std::move(form));
    } catch (...) {
        account_written(bytes);
        throw;
    }
    return true;
}

bool Connection::write_shared(const SharedFrame& frames, std::size_t count) noexcept {
    if (close_queued_ || retired_ || broken_ || deflates_ || streaming_ || !outbox_.empty() ||
        corked()) {
        return false;
    }
    const std::span<const std::uint8_t> bytes = frames.bytes();
    const iovec slot = base::to_iovec(bytes);
    const net::IoResult result = transport_->write({&slot, 1});
    account_wire(result.count);
    bool healthy = result.status != net::IoStatus::failed && result.status != net::IoStatus::closed;
    if (healthy && result.count < bytes.size()) {
        try {
            keep_unwritten(frames);
            outbox_.drop_front(result.count);
            account_written(result.count);
        } catch (const std::bad_alloc&) {
            healthy = false;
        }
    }
    if (record_ != nullptr) {
        record_->traffic.messages_out += count;
    }
    if (!healthy) {
        break_off();
    }
    return true;
}

void Connection::push_counted(SharedFrame frame) {
    uncork();
    keep_unwritten(std::move(frame));
}

void Connection::keep_unwritten(SharedFrame frame) {
    const std::size_t bytes = frame.bytes().size();
    loop_.heap_trim().note(bytes);
    outbox_.push(std::move(frame));
    if (!retired_) {
        gate_.add(bytes);
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
        static_cast<void>(write_through(header.bytes(), payload.bytes()));
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

void Connection::account_written(std::size_t bytes) noexcept {
    if (!retired_ && gate_.release(bytes, low_water()) && gate_.end_wait()) {
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
