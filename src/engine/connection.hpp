// SPDX-License-Identifier: Apache-2.0
// A channel that speaks WebSocket: its messages, its outgoing frames and its one way to end.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string_view>

#include "base/byte_buffer.hpp"
#include "base/log.hpp"
#include "engine/channel.hpp"
#include "engine/closing.hpp"
#include "engine/cork.hpp"
#include "engine/deflate_stream.hpp"
#include "engine/inbound.hpp"
#include "engine/tick.hpp"
#include "protocol/close_code.hpp"
#include "protocol/message_reader.hpp"

namespace websocket::engine {

/// What a peer is told that does not take what it is sent. [any thread]
[[nodiscard]] inline protocol::ClosePayload too_slow() noexcept {
    return protocol::ClosePayload(protocol::CloseCode::policy_violation, "too slow");
}

/// [loop]
class Connection final : public Channel {
public:
    Connection(Loop& loop, Gate& gate, ConnectionId id) noexcept;

    /// What to serve; before the connection is handed to its loop. [any thread]
    void prepare(net::AnyTransport transport, std::unique_ptr<Session> session,
                 const ConnectionOptions& options, unsigned version,
                 base::ByteBuffer early_input) noexcept;
    /// What was agreed on about compression; before it is handed to its loop. Throws std::bad_alloc.
    /// [any thread]
    void agree(const protocol::DeflateSettings& settings);

    void abandon() noexcept override;
    void open() override;
    void service() override;
    void recover_lost_requests() override;
    void announce_drain(std::chrono::milliseconds left) noexcept override;
    /// Closes with `code` once the messages that are coming in and going out are complete and the session has answered
    /// all that it has; the session ends when the peer has answered the Close. False when it is closing
    /// already.
    bool leave(protocol::CloseCode code, const char* reason) noexcept override;
    /// Sends Close and ends the session at once; what is queued goes out first, within
    /// close_timeout.
    void fail(protocol::CloseCode code, const char* reason) noexcept override;
    Departure cut_short(protocol::CloseCode code, const char* reason) noexcept override;
    void kill() noexcept override;

    /// The session can take messages again.
    void resume() noexcept;
    /// Reads nothing, or reads again, as the application wishes.
    void hold(bool still) noexcept;

    /// A message or control frame from a callback that runs on the loop now.
    [[nodiscard]] SendResult transmit(protocol::Opcode opcode,
                                      std::span<const std::uint8_t> payload,
                                      Compression compression);
    /// The same, if it is small, and nothing is in its way: the short way of most answers. `cork` collects
    /// for this connection. False, and nothing is done, when it has to be transmit().
    [[nodiscard]] bool try_cork(Cork& cork, protocol::Opcode opcode,
                                std::span<const std::uint8_t> payload,
                                Compression compression) noexcept {
        const bool deflates = deflates_ && compression == Compression::as_agreed;
        if (retired_ || broken_ || streaming_ || deflates || protocol::is_control(opcode) ||
            !outbox_.empty() || gate_.closing()) {
            return false;
        }
        const bool corked = cork.append(opcode, payload);
        if (corked && record_ != nullptr) {
            ++record_->traffic.messages_out;
        }
        return corked;
    }
    /// As transmit() with an encoded frame, which may be part of a message and is compressed if it can
    /// be. Throws std::bad_alloc.
    [[nodiscard]] SendResult transmit(const SharedFrame& frame, Compression compression);
    /// A frame that the gate has admitted, or so many whole messages. Throws std::bad_alloc.
    void enqueue(SharedFrame frame, std::uint32_t messages = 1);
    /// A whole, uncompressed frame that the gate has admitted and that is to be compressed. Throws
    /// std::bad_alloc.
    void enqueue_plain(SharedFrame frame);
    /// A frame that others get, too. False when the peer is too slow for it. Throws std::bad_alloc.
    [[nodiscard]] bool enqueue_shared(const SharedFrame& frame);
    /// Whole messages, `count` of them in one piece, that others get, too. False, and nothing is
    /// done, unless they can be written at once and as they are.
    [[nodiscard]] bool write_shared(const SharedFrame& frames, std::size_t count) noexcept;
    /// Begins the closing handshake with an encoded Close; the gate is closed. Throws
    /// std::bad_alloc and has then done nothing.
    void enqueue_close(SharedFrame close);
    /// Writes what is corked for it, if anything is.
    void uncork() noexcept;
    /// The same, when something is.
    void write_corked() noexcept;
    /// The same, and a frame behind that. `last`: the stream ends with it.
    [[nodiscard]] bool write_through(std::span<const std::uint8_t> header,
                                     std::span<const std::uint8_t> payload,
                                     bool last = false) noexcept;

private:
    struct Sink;  // the reader's

    void on_ready(std::uint32_t events) override;
    void on_time() noexcept override;
    void on_taken() noexcept override { note_life(); }
    void encode_next() noexcept override;

    // in connection_read.cpp
    [[nodiscard]] std::span<std::uint8_t> read_buffer() const noexcept;
    bool read_ready();
    void read_unread();
    void feed(std::span<std::uint8_t> bytes);
    bool discard_input() noexcept;
    void on_end_of_stream() noexcept;
    [[nodiscard]] protocol::Next deliver(Message message);
    void answer_ping(std::span<const std::uint8_t> payload);
    [[nodiscard]] protocol::Next deliver(MessagePart part);
    [[nodiscard]] protocol::Next after_delivery(Flow flow) noexcept;
    void on_peer_close(std::uint16_t code, std::string_view reason) noexcept;
    [[nodiscard]] bool settled() const noexcept;
    [[nodiscard]] bool takes_input() const noexcept;
    [[nodiscard]] bool input_pending() const noexcept;

    // in connection_write.cpp
    [[nodiscard]] SendResult transmit_frame(protocol::Opcode opcode,
                                            std::span<const std::uint8_t> payload, bool compressed);
    [[nodiscard]] SendResult transmit_as_is(const SharedFrame& frame);
    /// Small frames are collected for it now.
    [[nodiscard]] bool corked() const noexcept;
    /// A frame that may leave behind what is corked, and before what waits: there is nothing.
    [[nodiscard]] bool try_cork(protocol::Opcode opcode, std::span<const std::uint8_t> payload,
                                bool compressed = false) noexcept;
    [[nodiscard]] bool try_cork(std::span<const std::uint8_t> frame) noexcept;
    /// Queues a frame behind what is corked, and counts it. Throws std::bad_alloc.
    void push_counted(SharedFrame frame);
    void refuse_part() noexcept;
    [[nodiscard]] bool keep_rest(net::IoStatus status, std::span<const std::uint8_t> first,
                                 std::span<const std::uint8_t> second) noexcept;
    /// `last`: the stream ends with it.
    void queue_close_frame(protocol::CloseCode code, const char* reason, bool last) noexcept;
    void break_off() noexcept;

    // in connection_deflate.cpp
    [[nodiscard]] protocol::DeflateSettings agreed() const noexcept;
    [[nodiscard]] protocol::DeflateSettings settings_for(const SharedFrame& frame) const noexcept;
    [[nodiscard]] DeflateStream::Means deflate_means() const noexcept;
    [[nodiscard]] std::optional<std::span<const std::uint8_t>>
    deflate_now(protocol::Opcode opcode, std::span<const std::uint8_t> payload, SendResult& result);
    [[nodiscard]] bool deflates_later(std::size_t size) const noexcept;

    // in connection.cpp
    /// Nothing that a callback or the allocator throws may cost more than this connection.
    template <class Work>
    void guarded(Work work) noexcept {
        try {
            work();
        } catch (const std::bad_alloc&) {
            fail_without_memory();
        } catch (...) {
            fail_for_exception();
        }
    }
    void fail_for_exception() noexcept;
    void end_input(protocol::CloseCode code, const char* reason, const CloseInfo& info) noexcept;
    void end_now() noexcept;
    void leave_at_boundary() noexcept;
    void await_answer() noexcept;
    void finish(const CloseInfo& how) noexcept;
    void after_flush() noexcept;
    void tell_writable() noexcept;

    void account_read(std::size_t bytes) noexcept {
        if (record_ != nullptr) record_read(bytes, closing_.reading());
    }
    /// `first` is the first byte of a frame, of which there may be more: the last frame of a message makes one.
    void account_sent(std::uint8_t first, std::uint32_t messages = 1) noexcept {
        const bool ends_message =
            (first & (protocol::kFin | protocol::kControlBit)) == protocol::kFin;
        if (record_ != nullptr && ends_message) {
            record_->traffic.messages_out += messages;
        }
    }
    void on_rate_exceeded(const char* reason) noexcept override;

    // in connection.cpp
    void note_life() noexcept;
    void look();
    [[nodiscard]] bool takes_bytes() noexcept { return liveness_.takes(transport_.delivery()); }
    [[nodiscard]] bool gives_no_sign_of_life(Tick now);
    void start_close_timer() noexcept;
    void keep_alive(Tick now);

    Inbound inbound_;
    DeflateStream deflate_;
    // What follows fits into the rest of its last word.
    [[no_unique_address]] Closing closing_;
    bool deflates_ : 1 = false;    ///< compression was agreed on
    bool streaming_ : 1 = false;   ///< a message went out in part; other messages wait
    bool misordered_ : 1 = false;  ///< a part was sent that does not belong here; service() ends it
    bool announced_ : 1 = false;   ///< the session knows of the drain
};

// One byte more, and malloc takes 16 more for each connection.
static_assert(sizeof(Connection) <= 152);

}  // namespace websocket::engine
