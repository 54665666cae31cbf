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

/// What was agreed on, if the frame is to be compressed; else nothing.
DeflateSettings Connection::settings_for(const SharedFrame& frame) const noexcept {
    if (!deflates_ || !frame.is_plain_message()) {
        return {};
    }
    const DeflateSettings settings = agreed();
    const bool applies = settings.applies_to(frame.opcode(), frame.payload().size());
    return applies ? settings : DeflateSettings{};
}

DeflateStream::Means Connection::deflate_means() const noexcept {
    return {agreed(), loop_.shared_deflate(), loop_.reactor().now()};
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
        const std::size_t bytes =
            protocol::EncodedHeader(opcode, payload.size()).bytes().size() + payload.size();
        result = admit(bytes, Passage::behind,
                       [&] { enqueue_plain(SharedFrame::build(opcode, payload)); });
        return {};
    }
    // What is compressed needlessly costs the stream its context.
    const bool waits = !corked() || !outbox_.empty();
    if (waits && gate_.full(options_->send_buffer)) {
        result = SendResult::full;
        return {};
    }
    const auto smaller = deflate_.deflate(payload, true, payload.size(), deflate_means());
    return smaller.empty() ? payload : smaller;
}

SendResult Connection::transmit(const SharedFrame& frame, Compression compression) {
    const DeflateSettings settings =
        compression == Compression::as_agreed ? settings_for(frame) : DeflateSettings{};
    if (!settings.agreed()) {
        return transmit_as_is(frame);
    }
    if (!settings.server_takeover) {
        return retired_ || broken_
                   ? SendResult::gone
                   : transmit_as_is(loop_.shared_deflate().wire_form(frame, settings));
    }
    if (retired_ || broken_) return SendResult::gone;
    return admit(frame.bytes().size(), Passage::behind, [&] { enqueue_plain(frame); });
}

void Connection::enqueue_plain(SharedFrame plain) {
    const std::span<const std::uint8_t> payload = plain.payload();
    if (closing_.close_queued()) {
        account_written(plain.bytes().size());  // it lost the race against the Close
        return;
    }
    if (deflates_later(payload.size())) {
        account_sent(plain.bytes().front());
        uncork();
        streaming_ ? park(std::move(plain), true) : outbox_.push_plain(std::move(plain));
        loop_.mark_dirty(*this);
        return;
    }
    const auto smaller = deflate_.deflate(payload, true, payload.size(), deflate_means());
    if (smaller.empty()) {
        enqueue(std::move(plain));
        return;
    }
    const protocol::EncodedHeader header(plain.opcode(), smaller.size(), true, true);
    const std::size_t bytes = header.bytes().size() + smaller.size();
    try {
        if (try_cork(plain.opcode(), smaller, true)) {
            account_sent(header.bytes().front());
            account_written(bytes);
        } else {
            enqueue(SharedFrame::join(header.bytes(), smaller));
        }
    } catch (const std::bad_alloc&) {
        deflate_.forget_last();
        throw;
    }
    account_written(plain.bytes().size() - bytes);
    if (paused()) {
        loop_.mark_dirty(*this);
    }
}

/// Compresses the next part of the message whose turn it is.
void Connection::encode_next() noexcept {
    const Outbox::Plain plain = outbox_.next_plain();
    const std::span<const std::uint8_t> payload = plain.frame.payload();
    const bool first = plain.done == 0;
    const auto part =
        payload.subspan(plain.done, std::min(kDeflatePart, payload.size() - plain.done));
    const bool last = plain.done + part.size() == payload.size();
    // Whether it is worth it the first part tells: then there is no way back.
    const auto deflated = deflate_.deflate(
        part, last, first ? part.size() : protocol::Deflater::kNoLimit, deflate_means());
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
