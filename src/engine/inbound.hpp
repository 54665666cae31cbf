// SPDX-License-Identifier: Apache-2.0
// What has come from a peer and is not handled yet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "base/byte_buffer.hpp"
#include "protocol/message_reader.hpp"

namespace websocket::engine {

/// The part of a frame or message that is not whole, and, because of a pause, bytes that nobody has looked
/// at. Without either it owns no memory. [loop]
class Inbound {
public:
    /// Bytes that came before anybody read. [any thread]
    void begin_with(base::ByteBuffer early) noexcept { unread_ = std::move(early); }

    /// Hands the next bytes of the stream to the sink. Returns those that it does not want now: keep() them
    /// or they are lost. Throws what the sink throws, and std::bad_alloc.
    template <protocol::MessageSink Sink>
    [[nodiscard]] std::span<std::uint8_t>
    consume(std::span<std::uint8_t> bytes, const protocol::ReaderLimits& limits, Sink& sink) {
        return bytes.subspan(reader_.consume(bytes, limits, sink));
    }
    /// The same for bytes that were received into window().
    template <protocol::MessageSink Sink>
    void consume_received(std::size_t count, Sink& sink) {
        reader_.received(count, sink);
    }
    /// Where the rest of a long frame may be received without a copy; empty when no such frame has begun.
    /// Throws std::bad_alloc.
    [[nodiscard]] std::span<std::uint8_t> window() {
        return reader_.receive_window(kMinWindow, kMaxWindow);
    }
    /// Between two messages.
    [[nodiscard]] bool at_boundary() const noexcept { return reader_.at_boundary(); }

    // What waits for the end of a pause comes before all that is read.
    [[nodiscard]] bool has_unread() const noexcept { return !unread_.empty(); }
    [[nodiscard]] std::size_t unread() const noexcept { return unread_.size(); }
    /// Throws std::bad_alloc.
    void keep(std::span<const std::uint8_t> bytes) { unread_.append(bytes); }
    [[nodiscard]] base::ByteBuffer take_unread() noexcept { return std::move(unread_); }
    void drop_unread() noexcept { unread_.reset(); }

private:
    /// A data frame of which this much is missing is received where it will stay.
    static constexpr std::size_t kMinWindow = 16U << 10;
    static constexpr std::size_t kMaxWindow = 256U << 10;

    protocol::MessageReader reader_;
    base::ByteBuffer unread_;
};

}  // namespace websocket::engine
