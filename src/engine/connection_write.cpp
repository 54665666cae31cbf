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
        cork_.owner()->write_corked();
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
    const SendResult result = transmit_frame(opcode, payload, compressed);
    if (compressed && result != SendResult::ok) {
        deflate_.forget_last();
    }
    return result;
}

inline SendResult Connection::transmit_frame(Opcode opcode, std::span<const std::uint8_t> payload,
                                             bool compressed) {
    const protocol::EncodedHeader header(opcode, payload.size(), true, compressed);
    const std::size_t bytes = header.bytes().size() + payload.size();
    if (bytes >= Gate::kMaxQueued) return SendResult::too_big;

    if (corked() && outbox_.empty() && !streaming_) {
        account_sent(header.bytes().front());
        return loop_.cork().append(opcode, payload, compressed) ||
                       write_through(header.bytes(), payload)
                   ? SendResult::ok
                   : SendResult::gone;
    }
    return admit(bytes, passage_of(header.bytes().front()),
                 [&] { enqueue(SharedFrame::join(header.bytes(), payload)); });
}

bool Connection::corked() const noexcept { return loop_.cork().owner() == this; }

bool Connection::try_cork(Opcode opcode, std::span<const std::uint8_t> payload,
                          bool compressed) noexcept {
    return corked() && outbox_.empty() && loop_.cork().append(opcode, payload, compressed);
}

bool Connection::try_cork(std::span<const std::uint8_t> frame) noexcept {
    return corked() && outbox_.empty() && loop_.cork().append(frame);
}

void Connection::uncork() noexcept {
    if (corked() && !loop_.cork().empty()) {
        write_corked();
    }
}

void Connection::write_corked() noexcept {
    Cork& cork = loop_.cork();
    const std::span<const std::uint8_t> bytes = cork.bytes();
    const iovec slot = base::to_iovec(bytes);
    const net::IoResult result = transport_.write({&slot, 1});
    account_wire(result.count);
    if (result.count < bytes.size()) {
        static_cast<void>(keep_rest(result.status, bytes.subspan(result.count), {}));
    }
    cork.clear();
}

/// Writes what is corked, then the frame, without copying; queues what the socket did not take. False
/// when the connection is broken.
bool Connection::write_through(std::span<const std::uint8_t> header,
                               std::span<const std::uint8_t> payload, bool last) noexcept {
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
    const std::span<const iovec> all = std::span(slots).first(used);
    const net::IoResult result = last ? transport_.write_last(all) : transport_.write(all);
    account_wire(result.count);
    std::size_t written = result.count;
    for (std::span<const std::uint8_t>& part : parts) {
        const std::size_t whole = std::min(written, part.size());
        part = part.subspan(whole);
        written -= whole;
    }
    // What is left of the cork has to be copied anyway; a large payload becomes a frame of its own.
    const auto& [before, head, body] = parts;
    const bool kept =
        ((before.empty() && head.empty()) || keep_rest(result.status, before, head)) &&
        (body.empty() || keep_rest(result.status, body, {}));
    if (corked_here) {
        cork.clear();
    }
    return kept;
}

/// What a write with this result has not taken waits. False when the connection is broken, or is now for
/// want of memory.
bool Connection::keep_rest(net::IoStatus status, std::span<const std::uint8_t> first,
                           std::span<const std::uint8_t> second) noexcept {
    bool healthy = status != net::IoStatus::failed && status != net::IoStatus::closed;
    try {
        if (healthy) {
            queue(SharedFrame::join(first, second));
        }
    } catch (const std::bad_alloc&) {
        healthy = false;
    }
    if (!healthy) {
        break_off();
    }
    return healthy;
}

bool Connection::enqueue_shared(const SharedFrame& frame) {
    // Unlike a sender, a broadcast may pass the gate behind close(): it was there first.
    if (closing_.close_queued() || retired_ || broken_) {
        return true;
    }
    if (gate_.queued() >= options_->send_buffer) {
        return false;
    }
    const protocol::DeflateSettings settings = settings_for(frame);
    const bool in_context = settings.server_takeover;
    SharedFrame form = settings.agreed() && !in_context
                           ? loop_.shared_deflate().wire_form(frame, settings)
                           : frame;
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
    if (closing_.close_queued() || retired_ || broken_ || deflates_ || streaming_ ||
        !outbox_.empty() || corked()) {
        return false;
    }
    const bool healthy = write_or_queue(frames);
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
    queue(std::move(frame));
}

void Connection::enqueue_close(SharedFrame close) {
    if (closing_.open()) {
        push_counted(std::move(close));
        closing_.begin_close();
        start_close_timer();
    }
    if (!retired_ && gate_.end_wait()) {
        loop_.wake_senders();
    }
}

void Connection::queue_close_frame(CloseCode code, const char* reason, bool last) noexcept {
    if (closing_.close_queued()) {
        return;
    }
    closing_.end_output();
    gate_.close(id_.generation());
    const protocol::ClosePayload payload(code, reason);
    if (outbox_.empty()) {
        // Allocates nothing, so that it also works when memory is what is missing.
        const protocol::EncodedHeader header(Opcode::close, payload.bytes().size());
        static_cast<void>(write_through(header.bytes(), payload.bytes(), last));
        return;
    }
    try {
        push_counted(SharedFrame::build(Opcode::close, payload.bytes()));
    } catch (const std::bad_alloc&) {
        kill();
    }
}

/// Nothing may follow what was written in part. A callback may be on the stack: service() ends it.
void Connection::break_off() noexcept {
    broken_ = true;
    closing_.end_output();
    loop_.mark_dirty(*this);
}

SendResult Connection::transmit_as_is(const SharedFrame& frame) {
    if (retired_ || broken_) return SendResult::gone;
    return admit(frame.bytes().size(), passage_of(frame.bytes().front()), [&] { enqueue(frame); });
}

/// A callback may be on the stack: service() ends it.
void Connection::refuse_part() noexcept {
    misordered_ = true;
    close_gate();
    loop_.mark_dirty(*this);
}

void Connection::enqueue(SharedFrame frame, std::uint32_t messages) {
    const std::size_t bytes = frame.bytes().size();
    loop_.heap_trim().note(bytes);
    if (closing_.close_queued()) {
        account_written(bytes);  // it lost the race against the Close
        return;
    }
    const std::uint8_t first = frame.bytes().front();
    const auto opcode = static_cast<Opcode>(first & protocol::kOpcodeBits);
    const bool fin = (first & protocol::kFin) != 0;
    if (is_out_of_order(opcode, fin, streaming_)) {
        account_written(bytes);
        refuse_part();
        return;
    }
    const bool part = is_part(opcode, fin);
    const bool last = part && fin;
    if (streaming_ && passage_of(opcode, fin) == Passage::behind) {
        park(std::move(frame));
    } else if (!last && try_cork(frame.bytes())) {
        account_written(bytes);
        if (paused()) {
            loop_.mark_dirty(*this);
        }
    } else {
        uncork();
        last ? end_parts(std::move(frame)) : outbox_.push(std::move(frame));
        loop_.mark_dirty(*this);
    }
    streaming_ = part ? !fin : streaming_;
    account_sent(first, messages);
}

}  // namespace websocket::engine
