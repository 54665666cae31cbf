// SPDX-License-Identifier: Apache-2.0
// The part of a connection that knows of compression.
//
// A stream whose messages refer to earlier ones is compressed on the loop, in the order in which they
// leave. A message longer than kDeflatePart is compressed part by part, one at each turn of the loop,
// and leaves in as many frames: so it never keeps the other connections waiting for long.
#include <new>
#include <utility>

#include "engine/connection.hpp"
#include "engine/loop.hpp"

namespace websocket::engine {

using protocol::DeflateSettings;
using protocol::Opcode;

void Connection::agree(const DeflateSettings& settings) {
    if (settings.agreed()) {
        loop_.agree(id_, settings);
        deflates_ = true;
    }
}

DeflateSettings Connection::agreed() const noexcept { return loop_.agreed(id_); }

DeflateContext& Connection::deflate_context() {
    if (deflate_ == nullptr) {
        deflate_ = std::make_unique<DeflateContext>();
    }
    return *deflate_;
}

std::unique_ptr<protocol::Inflater> Connection::take_inflater() {
    const DeflateSettings settings = agreed();
    return settings.client_takeover
               ? deflate_context().take_inflater(settings, loop_.reactor().now())
               : loop_.shared_deflate().take_inflater();
}

void Connection::give_back(std::unique_ptr<protocol::Inflater> inflater) noexcept {
    if (agreed().client_takeover) {
        deflate_->give_back(std::move(inflater));
    } else {
        loop_.shared_deflate().give_back(std::move(inflater));
    }
}

/// The part of a message as it goes on the wire, in a buffer of the loop; empty when that would have
/// `limit` bytes or more, or memory is missing.
std::span<const std::uint8_t> Connection::deflate(std::span<const std::uint8_t> part, bool last,
                                                  std::size_t limit) noexcept {
    const DeflateSettings settings = agreed();
    base::ByteBuffer& out = loop_.shared_deflate().deflate_buffer();
    try {
        const bool useful =
            settings.server_takeover
                ? deflate_context().deflate(part, last, out, limit, settings, loop_.reactor().now())
                : loop_.shared_deflate().deflate(part, last, out, limit, settings);
        return useful ? out.bytes() : std::span<const std::uint8_t>{};
    } catch (const std::bad_alloc&) {
        return {};
    }
}

/// What was compressed last does not leave.
void Connection::forget_deflated() noexcept {
    if (deflate_ != nullptr) {
        deflate_->forget_last();
    }
}

/// Behind what waits to be compressed, or part by part.
bool Connection::deflates_later(std::size_t size) const noexcept {
    return size > kDeflatePart || streaming_ || outbox_.holds_plain();
}

/// What leaves instead of `payload`: that itself, when compressing it is of no use. Nothing when it was
/// queued to be compressed later, or refused, as `result` says.
std::optional<std::span<const std::uint8_t>>
Connection::deflate_now(Opcode opcode, std::span<const std::uint8_t> payload, SendResult& result) {
    if (deflates_later(payload.size())) {
        result = admit_plain(opcode, payload);
        return {};
    }
    // What is compressed needlessly costs the stream its context.
    const bool waits = !corked() || !outbox_.empty();
    if (waits && gate_.queued() >= options_->send_buffer) {
        result = SendResult::full;
        return {};
    }
    const auto smaller = deflate(payload, true, payload.size());
    return smaller.empty() ? payload : smaller;
}

SendResult Connection::admit_plain(Opcode opcode, std::span<const std::uint8_t> payload) {
    const std::size_t bytes =
        protocol::EncodedHeader(opcode, payload.size()).bytes().size() + payload.size();
    if (const SendResult result = admit(bytes); result != SendResult::ok) {
        return result;
    }
    try {
        enqueue_plain(SharedFrame::build(opcode, payload));
    } catch (const std::bad_alloc&) {
        account_written(bytes);
        return SendResult::no_memory;
    }
    return SendResult::ok;
}

SendResult Connection::transmit(const SharedFrame& frame, Compression compression) {
    const bool may_deflate =
        deflates_ && compression == Compression::as_agreed && frame.is_plain_message();
    const DeflateSettings settings = may_deflate ? agreed() : DeflateSettings{};
    if (!settings.applies_to(frame.opcode(), frame.payload().size())) {
        return transmit_as_is(frame);
    }
    if (!settings.server_takeover) {
        return retired_ || broken_ ? SendResult::gone : transmit_as_is(wire_form(frame));
    }
    if (retired_ || broken_) return SendResult::gone;
    const std::size_t bytes = frame.bytes().size();
    if (const SendResult result = admit(bytes); result != SendResult::ok) {
        return result;
    }
    try {
        enqueue_plain(frame);
    } catch (const std::bad_alloc&) {
        account_written(bytes);
        return SendResult::no_memory;
    }
    return SendResult::ok;
}

SharedFrame Connection::wire_form(const SharedFrame& frame) noexcept {
    return loop_.shared_deflate().wire_form(frame, agreed());
}

void Connection::enqueue_plain(SharedFrame plain) {
    const std::span<const std::uint8_t> payload = plain.payload();
    if (close_queued_) {
        account_written(plain.bytes().size());  // it lost the race against the Close
        return;
    }
    if (deflates_later(payload.size())) {
        account_sent(plain.bytes().front());
        uncork();
        streaming_ ? outbox_.park_plain(std::move(plain)) : outbox_.push_plain(std::move(plain));
        loop_.mark_dirty(*this);
        return;
    }
    const auto smaller = deflate(payload, true, payload.size());
    if (smaller.empty()) {
        enqueue(std::move(plain));
        return;
    }
    const protocol::EncodedHeader header(plain.opcode(), smaller.size(), true, true);
    const std::size_t bytes = header.bytes().size() + smaller.size();
    try {
        if (try_cork(header.bytes(), smaller)) {
            account_sent(header.bytes().front());
            account_written(bytes);
        } else {
            enqueue(SharedFrame::join(header.bytes(), smaller));
        }
    } catch (const std::bad_alloc&) {
        forget_deflated();
        throw;
    }
    account_written(plain.bytes().size() - bytes);
    if (pause_ != 0) {
        loop_.mark_dirty(*this);
    }
}

/// Compresses the next part of the message whose turn it is.
void Connection::deflate_next() noexcept {
    const Outbox::Plain plain = outbox_.next_plain();
    const std::span<const std::uint8_t> payload = plain.frame.payload();
    const bool first = plain.done == 0;
    const auto part =
        payload.subspan(plain.done, std::min(kDeflatePart, payload.size() - plain.done));
    const bool last = plain.done + part.size() == payload.size();
    // Whether it is worth it the first part tells: then there is no way back.
    const auto deflated = deflate(part, last, first ? part.size() : protocol::Deflater::kNoLimit);
    if (deflated.empty() && first) {
        outbox_.keep_plain();
        return;
    }
    const Opcode opcode = first ? plain.frame.opcode() : Opcode::continuation;
    try {
        if (deflated.empty()) {
            throw std::bad_alloc();
        }
        SharedFrame frame = SharedFrame::build(opcode, deflated, last, first);
        const std::size_t bytes = frame.bytes().size();
        outbox_.replace_plain(part.size(), std::move(frame));
        if (!retired_) {
            gate_.add(bytes);
        }
    } catch (const std::bad_alloc&) {
        report_no_memory(loop_.log());
        kill();  // inside a message there is nothing else to say
        return;
    }
    const std::size_t header = last ? plain.frame.bytes().size() - payload.size() : 0;
    account_written(part.size() + header);
}

}  // namespace websocket::engine
