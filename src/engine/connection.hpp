// SPDX-License-Identifier: Apache-2.0
// One WebSocket connection: its protocol state, its outgoing frames and its one way to end.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "base/byte_buffer.hpp"
#include "base/log.hpp"
#include "engine/connection_id.hpp"
#include "engine/connection_options.hpp"
#include "engine/connection_record.hpp"
#include "engine/deflate_context.hpp"
#include "engine/gate.hpp"
#include "engine/liveness.hpp"
#include "engine/outbox.hpp"
#include "engine/session.hpp"
#include "engine/shared_frame.hpp"
#include "engine/tick.hpp"
#include "net/reactor.hpp"
#include "net/transport.hpp"
#include "protocol/close_code.hpp"
#include "protocol/message_reader.hpp"

namespace websocket::engine {

class Loop;

/// Answer to a send.
enum class SendResult : std::uint8_t {
    ok,         ///< on the wire or queued
    queued,     ///< the same, to who wants to know: Session::on_writable() will be called
    full,       ///< not queued: the peer is too slow
    closing,    ///< not queued: a Close is on its way
    gone,       ///< the connection has ended
    too_big,    ///< not queued: beyond Gate::kMaxQueued, or a control frame beyond 125 bytes
    no_memory,  ///< not queued
};

[[nodiscard]] constexpr SendResult to_result(Admission admission) noexcept {
    switch (admission) {
        case Admission::accepted: break;
        case Admission::full: return SendResult::full;
        case Admission::closing: return SendResult::closing;
        case Admission::gone: return SendResult::gone;
        case Admission::too_big: return SendResult::too_big;
    }
    return SendResult::ok;
}

/// What a peer is told that does not take what it is sent. [any thread]
[[nodiscard]] inline protocol::ClosePayload too_slow() noexcept {
    return protocol::ClosePayload(protocol::CloseCode::policy_violation, "too slow");
}

/// Says that this costs a connection. [any thread]
inline void report_no_memory(base::Log& log) noexcept {
    log.write(base::LogLevel::error, "WS0301: out of memory, closing one connection");
}

/// Whether a message is compressed on its way.
enum class Compression : std::uint8_t {
    as_agreed,
    none,  ///< it is compressed already, or its length must not give away what is in it
};

/// Lives on the heap from the reservation of its slot until the loop has closed its transport.
/// Everything but id() belongs to the loop. [loop]
class Connection final : private net::EventHandler {
public:
    Connection(Loop& loop, Gate& gate, ConnectionId id) noexcept;
    ~Connection();

    /// What to serve; before the connection is handed to its loop. [any thread]
    void prepare(std::unique_ptr<net::Transport> transport, std::unique_ptr<Session> session,
                 const ConnectionOptions& options, unsigned version,
                 base::ByteBuffer early_input) noexcept;
    /// What was agreed on about compression; before it is handed to its loop. Throws std::bad_alloc.
    /// [any thread]
    void agree(const protocol::DeflateSettings& settings);
    /// Gives it a record; before it is handed to its loop. [any thread]
    void attach(std::unique_ptr<ConnectionRecord> record) noexcept { record_ = std::move(record); }
    /// As which it is counted while it is served; before it is handed to its loop. [any thread]
    void count_as(std::uint8_t category) noexcept { category_ = category; }
    /// Takes the session back from a connection that never reached its loop. [any thread]
    [[nodiscard]] std::unique_ptr<Session> abandon() noexcept { return std::move(session_); }

    [[nodiscard]] ConnectionId id() const noexcept { return id_; }
    [[nodiscard]] const ConnectionOptions& options() const noexcept { return *options_; }
    [[nodiscard]] std::uint8_t category() const noexcept { return category_; }
    /// It has rates.
    [[nodiscard]] bool metered() const noexcept {
        return record_ != nullptr && record_->meter != nullptr;
    }

    /// First call on the loop; the connection may be over when it returns.
    void open();
    /// The time of a pause that its rate has brought is over.
    void end_rate_pause() noexcept;
    /// Does what other calls put off: reads on after a pause, writes, polls for what is missing.
    void service();

    /// A message or control frame from a callback that runs on the loop now.
    [[nodiscard]] SendResult transmit(protocol::Opcode opcode,
                                      std::span<const std::uint8_t> payload,
                                      Compression compression);
    /// The same with an encoded frame, which may be part of a message and is compressed if it can
    /// be. Throws std::bad_alloc.
    [[nodiscard]] SendResult transmit(const SharedFrame& frame, Compression compression);
    /// A frame that the gate has admitted. Throws std::bad_alloc.
    void enqueue(SharedFrame frame);
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
    /// The rest of what was written past the outbox. Throws std::bad_alloc.
    void keep_unwritten(SharedFrame rest);
    /// The session can take messages again.
    void resume() noexcept;
    /// Reads nothing, or reads again, as the application wishes.
    void hold(bool still) noexcept;
    /// Null when it has ended.
    [[nodiscard]] Session* session() const noexcept { return session_.get(); }
    /// Carries out requests that could not be posted because memory ran out.
    void recover_lost_requests();

    /// Sends Close and ends the session at once; what is queued goes out first, within
    /// close_timeout.
    void fail(protocol::CloseCode code, const char* reason) noexcept;
    /// The same, and the log says why.
    void fail_without_memory() noexcept;
    /// Closes with `code` once the message that is coming in is complete and the session has answered
    /// all that it has; the session ends when the peer has answered the Close. False when it is closing
    /// already.
    bool leave(protocol::CloseCode code, const char* reason) noexcept;
    /// Tells the session, once, that it has this much time.
    void announce_drain(std::chrono::milliseconds left) noexcept;
    /// How it fares when the time is over.
    enum class Departure : std::uint8_t {
        in_order,            ///< it had ended, or waits for the answer to its Close only
        forced,              ///< fail() ends it
        forced_though_told,  ///< the same, though leave() was called
    };
    Departure cut_short(protocol::CloseCode code, const char* reason) noexcept;
    /// Ends everything at once; the loop frees it.
    void kill() noexcept;
    [[nodiscard]] bool dead() const noexcept { return state_ == State::dead; }
    /// Bytes that wait.
    [[nodiscard]] std::size_t queued() const noexcept { return gate_.queued(); }
    /// Its session has ended.
    [[nodiscard]] bool retired() const noexcept { return retired_; }
    /// Has the loop told of its end for its groups.
    void make_member() noexcept { member_ = true; }

    /// Writes what is corked for it.
    void uncork() noexcept;
    /// The same, and a frame behind that.
    [[nodiscard]] bool write_through(std::span<const std::uint8_t> header,
                                     std::span<const std::uint8_t> payload) noexcept;

    static constexpr std::uint32_t kLast = UINT32_MAX - 1;
    static constexpr std::uint32_t kUnlisted = UINT32_MAX;
    std::uint32_t next_dirty = kUnlisted;  ///< slot of the next one in the loop's list, or kLast

private:
    enum class State : std::uint8_t {
        open,
        closing,  ///< our Close is queued; messages still come in until the peer's Close
        ending,   ///< nothing more is read; the session still handles what it has
        parting,  ///< the Close of leave() is queued; messages are read and discarded until the peer's
        finishing,  ///< the session is gone; what is queued goes out
        lingering,  ///< our side is shut; the rest is read and discarded until the peer's side is
        dead,
    };
    enum Pause : std::uint8_t {
        kForSession = 1,
        kForPeer = 2,
        kForRate = 4,
        kForApplication = 8,
    };
    enum class Turn : std::uint8_t { now, later, never };

    struct Inbound;  // the reader's sink

    void on_ready(std::uint32_t events) override;
    void on_time() noexcept override;

    bool read_ready();
    void feed(std::span<std::uint8_t> bytes);
    bool discard_input() noexcept;
    void on_end_of_stream() noexcept;
    void end_input(protocol::CloseCode code, const char* reason, const CloseInfo& info) noexcept;
    void end_now() noexcept;
    void leave_at_boundary() noexcept;
    void await_answer() noexcept;
    [[nodiscard]] protocol::Next deliver(Message message);
    void answer_ping(std::span<const std::uint8_t> payload);
    [[nodiscard]] protocol::Next deliver(MessagePart part);
    [[nodiscard]] protocol::Next after_delivery(Flow flow) noexcept;
    void on_peer_close(std::uint16_t code, std::string_view reason) noexcept;
    template <class Work>
    void guarded(Work work) noexcept;

    // in connection_deflate.cpp
    [[nodiscard]] std::unique_ptr<protocol::Inflater> take_inflater();
    void give_back(std::unique_ptr<protocol::Inflater> inflater) noexcept;
    [[nodiscard]] std::optional<std::span<const std::uint8_t>>
    deflate_now(protocol::Opcode opcode, std::span<const std::uint8_t> payload, SendResult& result);
    [[nodiscard]] SendResult admit_plain(protocol::Opcode opcode,
                                         std::span<const std::uint8_t> payload);
    /// What was, as long as deflates_.
    [[nodiscard]] protocol::DeflateSettings agreed() const noexcept;
    [[nodiscard]] SharedFrame wire_form(const SharedFrame& frame) noexcept;
    [[nodiscard]] bool deflates_later(std::size_t size) const noexcept;
    [[nodiscard]] std::span<const std::uint8_t> deflate(std::span<const std::uint8_t> part,
                                                        bool last, std::size_t limit) noexcept;
    void forget_deflated() noexcept;
    void deflate_next() noexcept;
    [[nodiscard]] DeflateContext& deflate_context();

    void queue_close_frame(protocol::CloseCode code, const char* reason) noexcept;
    [[nodiscard]] SendResult transmit_frame(const protocol::EncodedHeader& header,
                                            std::span<const std::uint8_t> payload);
    [[nodiscard]] SendResult transmit_as_is(const SharedFrame& frame);
    /// Small frames are collected for it now.
    [[nodiscard]] bool corked() const noexcept;
    [[nodiscard]] bool try_cork(std::span<const std::uint8_t> header,
                                std::span<const std::uint8_t> payload) noexcept;
    void push_counted(SharedFrame frame);
    [[nodiscard]] SendResult admit(std::size_t bytes) noexcept;
    [[nodiscard]] Turn turn_of(const SharedFrame& frame) noexcept;
    void break_off() noexcept;
    void tell_writable() noexcept;
    void flush() noexcept;
    void finish(const CloseInfo& how) noexcept;
    void after_flush() noexcept;
    void account_written(std::size_t bytes) noexcept;

    // For the record. Without one, each costs a comparison; the rest is in connection_record.cpp.
    [[nodiscard]] std::size_t largest_read() const noexcept {
        return record_ == nullptr ? SIZE_MAX : largest_recorded_read();
    }
    void account_read(std::size_t bytes) noexcept {
        if (record_ != nullptr) record_read(bytes);
    }
    [[nodiscard]] bool admit_message() noexcept { return record_ == nullptr || record_message(); }
    [[nodiscard]] bool admit_fragment() noexcept { return record_ == nullptr || record_frame(); }
    [[nodiscard]] bool admit_control_frame() noexcept {
        return record_ == nullptr || record_control_frame();
    }
    /// `first` is the first byte of a frame; the last frame of a message makes one.
    void account_sent(std::uint8_t first) noexcept {
        const bool ends_message =
            (first & (protocol::kFin | protocol::kControlBit)) == protocol::kFin;
        if (record_ != nullptr && ends_message) {
            ++record_->traffic.messages_out;
        }
    }
    void account_wire(std::size_t bytes) noexcept {
        if (record_ != nullptr) record_->traffic.bytes_out += bytes;
    }
    [[nodiscard]] std::size_t largest_recorded_read() const noexcept;
    void record_read(std::size_t bytes) noexcept;
    [[nodiscard]] bool record_message() noexcept;
    [[nodiscard]] bool record_frame() noexcept;
    [[nodiscard]] bool record_control_frame() noexcept;
    void record_ending(const CloseInfo& info) noexcept;
    [[nodiscard]] bool charge(base::TokenBucket& bucket, std::uint64_t per_second,
                              std::uint64_t amount, RatePolicy policy, const char* reason) noexcept;
    void pause_for_rate(std::chrono::milliseconds time) noexcept;
    void stop_pause_timer() noexcept;

    void note_life() noexcept;
    void look();
    [[nodiscard]] bool takes_bytes() noexcept { return liveness_.takes(transport_->untaken()); }
    [[nodiscard]] bool gives_no_sign_of_life(Tick now);
    void start_close_timer() noexcept;
    void keep_alive(Tick now);
    void update_interest() noexcept;
    [[nodiscard]] bool takes_input() const noexcept;
    [[nodiscard]] bool input_pending() const noexcept;

    [[nodiscard]] bool reading() const noexcept {
        return state_ == State::open || state_ == State::closing || state_ == State::parting;
    }
    [[nodiscard]] bool in_session() const noexcept { return state_ <= State::parting; }
    [[nodiscard]] std::size_t low_water() const noexcept { return options_->send_buffer / 2; }
    /// What this server says with `code`, in the peer's version of the protocol.
    [[nodiscard]] protocol::CloseCode known_to_peer(protocol::CloseCode code) const noexcept;

    Loop& loop_;
    Gate& gate_;
    ConnectionId id_;
    std::unique_ptr<net::Transport> transport_;
    std::unique_ptr<Session> session_;
    std::unique_ptr<ConnectionRecord> record_;  ///< null unless somebody asked for it
    const ConnectionOptions* options_ = nullptr;
    protocol::MessageReader reader_;
    Outbox outbox_;
    std::unique_ptr<DeflateContext> deflate_;  ///< only where messages refer to earlier ones
    base::ByteBuffer unread_;                  ///< received, but not looked at because of a pause
    const char* end_reason_ = nullptr;  ///< while ending: what Close to send, and what to report
    CloseInfo end_info_{};
    protocol::CloseCode end_code_{};
    std::uint8_t polled_ = 0;    ///< what epoll watches now
    std::uint8_t category_ = 0;  ///< of OpenCounts
    Liveness liveness_;
    State state_ = State::open;
    std::uint8_t pause_ = 0;       ///< Pause bits
    bool hybi_ : 1 = false;        ///< version 7 or 8 of the protocol, not 13
    bool registered_ : 1 = false;  ///< epoll knows the descriptor
    bool watches_input_ : 1 = false;
    bool close_queued_ : 1 = false;
    bool broken_ : 1 = false;         ///< a write failed during a callback; service() ends it
    bool end_of_stream_ : 1 = false;  ///< the peer's side is shut
    bool retired_ : 1 = false;        ///< the gate belongs to the next generation
    bool leaving_ : 1 = false;        ///< leave() was called
    bool awaits_answer_ : 1 = false;  ///< the session stays until the peer has answered leave()
    bool announced_ : 1 = false;      ///< the session knows of the drain
    bool deflates_ : 1 = false;       ///< compression was agreed on
    bool streaming_ : 1 = false;      ///< a message went out in part; other messages wait
    bool room_again_ : 1 = false;     ///< somebody wants to be told that little is queued
    bool member_ : 1 = false;         ///< of a group of the loop
};

// One byte more, and malloc takes 16 more for each connection.
static_assert(sizeof(Connection) <= 152);

}  // namespace websocket::engine
