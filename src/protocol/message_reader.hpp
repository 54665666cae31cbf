// SPDX-License-Identifier: Apache-2.0
// Bytes of the peer in, messages and control frames out. Knows RFC 6455 sections 5, 7.4 and 8.1, and
// RFC 7692 section 6, and nothing of sockets; whatever implements MessageSink can stand behind it.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "base/byte_buffer.hpp"
#include "protocol/close_code.hpp"
#include "protocol/frame_decoding.hpp"
#include "protocol/frame_header.hpp"
#include "protocol/inflation.hpp"
#include "protocol/utf8.hpp"

namespace websocket::protocol {

/// What the sink wants after an event.
enum class Next : std::uint8_t {
    more,  ///< go on with the bytes at hand
    stop,  ///< return from consume(); the rest is not looked at
};

/// Where the events go. A payload may be modified and is valid during the call only. `owner`, when
/// not null, is the buffer that holds exactly this payload and may be moved from.
/// A sink may have `Next on_fragment()`, too: a data frame has ended that is not its message's last.
/// After on_close() and on_violation() the reader returns and is not to be used again.
template <class Sink>
concept MessageSink = requires(Sink sink, std::span<std::uint8_t> bytes, base::ByteBuffer* owner,
                               std::uint16_t code, std::string_view reason, Violation violation) {
    { sink.on_message(MessageType::text, bytes, owner) } -> std::same_as<Next>;
    { sink.on_ping(bytes) } -> std::same_as<Next>;
    { sink.on_pong(bytes) } -> std::same_as<Next>;
    { sink.on_close(code, reason) } -> std::same_as<void>;
    { sink.on_violation(violation) } -> std::same_as<void>;
};

/// A sink may also have inflaters(), which gives an InflaterSource *: unless that is null, it
/// understands compressed messages.
template <class Sink>
constexpr bool kKnowsInflaters = requires(Sink& sink) {
    sink.inflaters();
};

/// A sink that may want the parts of a message as they come. When wants_parts(), a message that is
/// not whole in one read is handed to on_part() instead of on_message(), a last part included.
template <class Sink>
concept PartSink = MessageSink<Sink> &&
    requires(Sink sink, std::span<std::uint8_t> bytes, bool flag) {
    { sink.wants_parts() } -> std::same_as<bool>;
    { sink.on_part(MessageType::text, bytes, flag, flag) } -> std::same_as<Next>;
};

/// One per connection, for the end that has this role. Between messages it is a null pointer; only a
/// frame or message of which a part has come owns memory. Throws std::bad_alloc and nothing else.
template <Role kRole>
class BasicMessageReader {
public:
    /// Reads frames from `bytes`, unmasking in place what a client has masked. Returns how many were
    /// used: all of them unless the sink said stop. A frame that is whole in `bytes` is handed over
    /// where it lies.
    template <MessageSink Sink>
    std::size_t consume(std::span<std::uint8_t> bytes, const ReaderLimits& limits, Sink& sink);

    /// Inside a long data frame: memory of at most `most` bytes where the next bytes of the
    /// stream may be received without a copy (then call received()). Empty when fewer than `least`
    /// are missing.
    [[nodiscard]] std::span<std::uint8_t> receive_window(std::size_t least, std::size_t most);

    /// The first `count` bytes of the receive window hold the next bytes of the stream.
    template <MessageSink Sink>
    void received(std::size_t count, Sink& sink);

    /// True between messages: a connection that ends here lost nothing.
    [[nodiscard]] bool at_boundary() const noexcept { return partial_ == nullptr; }

private:
    /// What has come of a frame or message that is not whole yet.
    struct Partial {
        std::array<std::uint8_t, kMaxHeader<kRole>> header_bytes;
        std::uint8_t header_size = 0;
        bool in_payload = false;
        FrameHeader frame{};          ///< valid while in_payload
        std::uint64_t remaining = 0;  ///< bytes of its payload that are missing
        std::array<std::uint8_t, kMaxControlPayload> control;
        std::uint8_t control_size = 0;
        MessageProgress message;
        Utf8Validator utf8;
        base::ByteBuffer payload;    ///< of the message
        InflatingMessage inflating;  ///< used while message.compressed
        bool handed_over = false;    ///< some of the message went to on_part() already
    };

    static constexpr MessageProgress kNoMessage{};
    static constexpr MessageProgress kNoCompressibleMessage{.compressible = true};

    /// What is known before the first frame of a message.
    template <MessageSink Sink>
    [[nodiscard]] static const MessageProgress& nothing_yet(Sink& sink) noexcept;
    template <MessageSink Sink>
    Next deliver_whole_frame(const FrameHeader& frame, std::span<std::uint8_t> payload,
                             const ReaderLimits& limits, Sink& sink);
    template <MessageSink Sink>
    Next deliver_compressed(MessageType type, std::span<const std::uint8_t> payload,
                            const ReaderLimits& limits, Sink& sink);
    template <MessageSink Sink>
    Next deliver_control(Opcode opcode, std::span<std::uint8_t> payload, const ReaderLimits& limits,
                         Sink& sink);
    template <MessageSink Sink>
    std::size_t resume(std::span<std::uint8_t> bytes, const ReaderLimits& limits, Sink& sink,
                       Next& next);
    /// The same for the payload of a compressed frame; returns how much of it was used.
    template <MessageSink Sink>
    std::size_t resume_compressed(std::span<std::uint8_t> chunk, const ReaderLimits& limits,
                                  Sink& sink, Next& next);
    template <MessageSink Sink>
    Next end_of_frame(const ReaderLimits& limits, Sink& sink);
    template <MessageSink Sink>
    Next end_of_message(Sink& sink);
    template <MessageSink Sink>
    Next end_of_compressed_message(Sink& sink);
    /// Hands over a message, or its last part.
    template <MessageSink Sink>
    Next hand_over_rest(MessageType type, base::ByteBuffer& payload, bool first, Sink& sink);
    template <MessageSink Sink>
    [[nodiscard]] static bool wants_parts(const Sink& sink) noexcept;
    /// Hands over what has come of a message that is not whole, if the sink wants it.
    template <MessageSink Sink>
    Next hand_over_part(Sink& sink);

    /// Takes header bytes; the decoder's answer for all that have come.
    HeaderResult take_header(std::span<std::uint8_t>& bytes, const ReaderLimits& limits);
    void begin_payload(const FrameHeader& frame);
    /// Unmasks and inflates the next bytes of a compressed message.
    [[nodiscard]] std::optional<Violation> inflate_payload(std::span<std::uint8_t> chunk,
                                                           const ReaderLimits& limits);
    /// Makes room for the rest of the frame, as far as `count` bytes more make it credible.
    void reserve_payload(std::size_t count);
    /// Unmasks and checks the last `count` bytes of the message payload; false: not UTF-8.
    [[nodiscard]] bool accept_payload(std::size_t count);
    void release_if_idle() noexcept;

    /// As unmask(), of what the other end has masked; without a look at the rest.
    static std::size_t unmask_payload(std::span<std::uint8_t> payload, MaskKey key) noexcept {
        if constexpr (kRole == Role::server) {
            return unmask(payload, key);
        } else {
            return 0;
        }
    }
    /// Whole text in place; `ascii` as unmask() returned it.
    [[nodiscard]] static bool is_utf8(std::span<const std::uint8_t> text,
                                      std::size_t ascii) noexcept;
    /// What a Close payload violates, if anything. [any thread]
    [[nodiscard]] static std::optional<Violation> check_close(std::span<const std::uint8_t> payload,
                                                              const ReaderLimits& limits) noexcept;

    static constexpr Violation kNotUtf8{CloseCode::invalid_payload, "text is not UTF-8"};
    /// Bytes of an inflated message that are rather copied than given away with their buffer.
    static constexpr std::size_t kLargestCopy = 64U << 10;
    /// Bytes of a compressed message that are inflated to one part: to a MiB at most.
    static constexpr std::size_t kInflateStep = 1U << 10;

    std::unique_ptr<Partial> partial_;
};

using MessageReader = BasicMessageReader<Role::server>;        ///< of what a client sends
using ClientMessageReader = BasicMessageReader<Role::client>;  ///< of what a server sends

extern template class BasicMessageReader<Role::server>;
extern template class BasicMessageReader<Role::client>;

template <Role kRole>
template <MessageSink Sink>
const MessageProgress& BasicMessageReader<kRole>::nothing_yet(Sink& sink) noexcept {
    if constexpr (kKnowsInflaters<Sink>) {
        return sink.inflaters() != nullptr ? kNoCompressibleMessage : kNoMessage;
    } else {
        return kNoMessage;
    }
}

template <Role kRole>
template <MessageSink Sink>
bool BasicMessageReader<kRole>::wants_parts([[maybe_unused]] const Sink& sink) noexcept {
    if constexpr (PartSink<Sink>) {
        return sink.wants_parts();
    } else {
        return false;
    }
}

template <Role kRole>
template <MessageSink Sink>
std::size_t BasicMessageReader<kRole>::consume(std::span<std::uint8_t> bytes,
                                               const ReaderLimits& limits, Sink& sink) {
    const MessageProgress& none = nothing_yet(sink);
    std::size_t used = 0;
    Next next = Next::more;
    while (used < bytes.size() && next == Next::more) {
        const std::span<std::uint8_t> rest = bytes.subspan(used);
        if (partial_ != nullptr) {
            used += resume(rest, limits, sink, next);
            continue;
        }
        const HeaderResult result =
            none.compressible ? decode_compressible_frame_header<kRole>(rest, none, limits)
                              : decode_here<kRole>(rest, none, limits);
        if (result.status == HeaderStatus::violated) {
            sink.on_violation(result.violation);
            return bytes.size();
        }
        const FrameHeader& frame = result.header;
        const bool whole = result.status == HeaderStatus::complete &&
                           frame.payload_length <= rest.size() - frame.size &&
                           (frame.fin || is_control(frame.opcode));
        if (!whole || (frame.compressed && wants_parts(sink))) {
            partial_ = std::make_unique<Partial>();
            partial_->message = none;
            continue;
        }
        const auto length = static_cast<std::size_t>(frame.payload_length);
        used += frame.size + length;
        next = deliver_whole_frame(frame, rest.subspan(frame.size, length), limits, sink);
    }
    return used;
}

template <Role kRole>
template <MessageSink Sink>
Next BasicMessageReader<kRole>::deliver_whole_frame(const FrameHeader& frame,
                                                    std::span<std::uint8_t> payload,
                                                    const ReaderLimits& limits, Sink& sink) {
    const std::size_t ascii = unmask_payload(payload, frame.mask);
    if (is_control(frame.opcode)) {
        return deliver_control(frame.opcode, payload, limits, sink);
    }
    if constexpr (kKnowsInflaters<Sink>) {
        if (frame.compressed) [[unlikely]] {
            return deliver_compressed(message_type(frame.opcode), payload, limits, sink);
        }
    }
    if (frame.opcode == Opcode::binary) {
        return sink.on_message(MessageType::binary, payload, nullptr);
    }
    if (!is_utf8(payload, ascii)) {
        sink.on_violation(kNotUtf8);
        return Next::stop;
    }
    return sink.on_message(MessageType::text, payload, nullptr);
}

template <Role kRole>
template <MessageSink Sink>
Next BasicMessageReader<kRole>::deliver_compressed(MessageType type,
                                                   std::span<const std::uint8_t> payload,
                                                   const ReaderLimits& limits, Sink& sink) {
    InflaterSource& inflaters = *sink.inflaters();
    InflatingMessage message(type, inflaters.take_inflater());
    base::ByteBuffer& inflated = inflaters.inflate_buffer();
    std::optional<Violation> violation = message.add(payload, inflated, limits);
    if (!violation) {
        violation = message.finish();
    }
    if (violation) {
        sink.on_violation(*violation);
        return Next::stop;
    }
    const bool tired = inflaters.give_back(message.release(), inflated.size());
    // Who keeps the message takes the buffer if it is a large one: else a copy is cheaper.
    base::ByteBuffer* owner = inflated.size() > kLargestCopy ? &inflated : nullptr;
    const Next next = sink.on_message(type, inflated.bytes(), owner);
    return tired ? Next::stop : next;
}

template <Role kRole>
template <MessageSink Sink>
Next BasicMessageReader<kRole>::deliver_control(Opcode opcode, std::span<std::uint8_t> payload,
                                                const ReaderLimits& limits, Sink& sink) {
    if (opcode == Opcode::ping) {
        return sink.on_ping(payload);
    }
    if (opcode == Opcode::pong) {
        return sink.on_pong(payload);
    }
    if (const auto violation = check_close(payload, limits)) {
        sink.on_violation(*violation);
    } else if (payload.empty()) {
        sink.on_close(static_cast<std::uint16_t>(CloseCode::no_status), {});
    } else {
        const std::uint16_t code = close_code_of(payload);
        sink.on_close(code,
                      {reinterpret_cast<const char*>(payload.data()) + 2, payload.size() - 2});
    }
    return Next::stop;
}

template <Role kRole>
template <MessageSink Sink>
std::size_t BasicMessageReader<kRole>::resume(std::span<std::uint8_t> bytes,
                                              const ReaderLimits& limits, Sink& sink, Next& next) {
    std::span<std::uint8_t> rest = bytes;
    if (!partial_->in_payload) {
        const HeaderResult result = take_header(rest, limits);
        if (result.status == HeaderStatus::violated) {
            sink.on_violation(result.violation);
            next = Next::stop;
            return bytes.size();
        }
        if (result.status == HeaderStatus::incomplete) {
            return bytes.size();
        }
        begin_payload(result.header);
        if constexpr (kKnowsInflaters<Sink>) {
            if (result.header.compressed) {
                partial_->inflating = {partial_->message.type, sink.inflaters()->take_inflater()};
            }
        }
    }
    Partial& partial = *partial_;
    const auto count =
        static_cast<std::size_t>(std::min<std::uint64_t>(partial.remaining, rest.size()));
    const std::span<std::uint8_t> chunk = rest.first(count);
    const std::size_t used = bytes.size() - rest.size() + count;
    if (is_control(partial.frame.opcode)) {
        std::copy(chunk.begin(), chunk.end(), partial.control.begin() + partial.control_size);
        partial.control_size = static_cast<std::uint8_t>(partial.control_size + count);
        partial.remaining -= count;
    } else if (partial.message.compressed) {
        return used - count + resume_compressed(chunk, limits, sink, next);
    } else {
        reserve_payload(count);
        partial.payload.append(chunk);
        if (!accept_payload(count)) {
            sink.on_violation(kNotUtf8);
            next = Next::stop;
            return used;
        }
    }
    next = partial.remaining == 0 ? end_of_frame(limits, sink) : hand_over_part(sink);
    return used;
}

template <Role kRole>
template <MessageSink Sink>
std::size_t BasicMessageReader<kRole>::resume_compressed(std::span<std::uint8_t> chunk,
                                                         const ReaderLimits& limits, Sink& sink,
                                                         Next& next) {
    // Parts are handed over soon: who wants them has messages that are larger than memory.
    const std::size_t step = wants_parts(sink) ? kInflateStep : SIZE_MAX;
    std::size_t used = 0;
    do {
        const std::span<std::uint8_t> slice =
            chunk.subspan(used, std::min(step, chunk.size() - used));
        used += slice.size();
        if (const auto violation = inflate_payload(slice, limits)) {
            sink.on_violation(*violation);
            next = Next::stop;
            return used;
        }
        next = partial_->remaining == 0 ? end_of_frame(limits, sink) : hand_over_part(sink);
    } while (next == Next::more && used < chunk.size());
    return used;
}

template <Role kRole>
template <MessageSink Sink>
void BasicMessageReader<kRole>::received(std::size_t count, Sink& sink) {
    partial_->payload.commit(count);
    if (!accept_payload(count)) {
        sink.on_violation(kNotUtf8);
    } else if (partial_->remaining == 0) {
        // A data frame: no limit can be violated by its end, and the sink's wish to stop is moot,
        // because no byte behind it was received.
        static_cast<void>(end_of_frame({}, sink));
    } else {
        static_cast<void>(hand_over_part(sink));
    }
}

template <Role kRole>
template <MessageSink Sink>
Next BasicMessageReader<kRole>::end_of_frame(const ReaderLimits& limits, Sink& sink) {
    Partial& partial = *partial_;
    partial.in_payload = false;
    partial.header_size = 0;
    if (is_control(partial.frame.opcode)) {
        std::array<std::uint8_t, kMaxControlPayload> control = partial.control;
        const std::span<std::uint8_t> payload{control.data(), partial.control_size};
        const Opcode opcode = partial.frame.opcode;
        unmask_payload(payload, partial.frame.mask);
        partial.control_size = 0;
        release_if_idle();
        return deliver_control(opcode, payload, limits, sink);
    }
    if (partial.frame.fin) {
        if constexpr (kKnowsInflaters<Sink>) {
            if (partial.message.compressed) {
                return end_of_compressed_message(sink);
            }
        }
        return end_of_message(sink);
    }
    if constexpr (requires { sink.on_fragment(); }) {
        if (const Next next = sink.on_fragment(); next != Next::more) {
            return next;
        }
    }
    return hand_over_part(sink);
}

template <Role kRole>
template <MessageSink Sink>
Next BasicMessageReader<kRole>::end_of_message(Sink& sink) {
    const MessageType type = partial_->message.type;
    if (type == MessageType::text && !partial_->utf8.complete()) {
        sink.on_violation(kNotUtf8);
        return Next::stop;
    }
    base::ByteBuffer payload = std::move(partial_->payload);
    const bool first = !partial_->handed_over;
    partial_.reset();
    return hand_over_rest(type, payload, first, sink);
}

template <Role kRole>
template <MessageSink Sink>
Next BasicMessageReader<kRole>::hand_over_rest(MessageType type, base::ByteBuffer& payload,
                                               [[maybe_unused]] bool first, Sink& sink) {
    if constexpr (PartSink<Sink>) {
        if (sink.wants_parts()) {
            return sink.on_part(type, payload.bytes(), first, true);
        }
    }
    return sink.on_message(type, payload.bytes(), &payload);
}

template <Role kRole>
template <MessageSink Sink>
Next BasicMessageReader<kRole>::end_of_compressed_message(Sink& sink) {
    const std::unique_ptr<Partial> partial = std::move(partial_);
    if (const auto violation = partial->inflating.finish()) {
        sink.on_violation(*violation);
        return Next::stop;
    }
    const std::size_t inflated = partial->inflating.inflated();
    const bool tired = sink.inflaters()->give_back(partial->inflating.release(), inflated);
    const Next next =
        hand_over_rest(partial->message.type, partial->payload, !partial->handed_over, sink);
    return tired ? Next::stop : next;
}

template <Role kRole>
template <MessageSink Sink>
Next BasicMessageReader<kRole>::hand_over_part([[maybe_unused]] Sink& sink) {
    if constexpr (PartSink<Sink>) {
        const bool control = partial_->in_payload && is_control(partial_->frame.opcode);
        if (!control && !partial_->payload.empty() && sink.wants_parts()) {
            base::ByteBuffer payload = std::move(partial_->payload);
            const bool first = !partial_->handed_over;
            partial_->handed_over = true;
            return sink.on_part(partial_->message.type, payload.bytes(), first, false);
        }
    }
    return Next::more;
}

}  // namespace websocket::protocol
