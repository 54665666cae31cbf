// SPDX-License-Identifier: Apache-2.0
// A channel whose client listens: the body of an HTTP response, with an event for each message.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>

#include "engine/channel.hpp"
#include "engine/tick.hpp"
#include "protocol/event_encoder.hpp"

namespace websocket::engine {

struct EventStreamOptions {
    protocol::BodyFraming framing = protocol::BodyFraming::chunked;
    /// Until a client comes back whose stream has ended; it is told, unless this is 0.
    std::chrono::milliseconds retry{0};
};

/// The head of the response is out. Sends and broadcasts are those of connections: frames, of which it writes
/// what they become as events (event_form.hpp). What the client sends is discarded, and its end of stream is
/// the end. In silence, ConnectionOptions::ping_interval long, a comment goes out; who does not take it within
/// pong_timeout is gone. [loop]
///
///     open ---> ending ---> finishing ---> lingering
class EventStream final : public Channel {
public:
    EventStream(Loop& loop, Gate& gate, ConnectionId id) noexcept;

    /// What to serve; before the stream is handed to its loop. [any thread]
    void prepare(net::AnyTransport transport, std::unique_ptr<Session> session,
                 const ConnectionOptions& options, const EventStreamOptions& how) noexcept;

    void abandon() noexcept override;
    void open() override;
    void service() override;
    void recover_lost_requests() override;
    void announce_drain(std::chrono::milliseconds left) noexcept override;
    bool leave(protocol::CloseCode code, const char* reason) noexcept override;
    void fail(protocol::CloseCode code, const char* reason) noexcept override;
    Departure cut_short(protocol::CloseCode code, const char* reason) noexcept override;
    void kill() noexcept override;

    /// A message from a callback that runs on the loop now; a Ping is a comment, a Pong nothing.
    [[nodiscard]] SendResult transmit(protocol::Opcode opcode,
                                      std::span<const std::uint8_t> payload,
                                      Compression compression) noexcept;
    /// The same with a frame, which may be part of a message.
    [[nodiscard]] SendResult transmit(const SharedFrame& frame, Compression compression) noexcept;
    /// Whole frames that the gate has admitted. Throws std::bad_alloc.
    void enqueue(const SharedFrame& frames);
    /// A frame that others get, too. False when the client is too slow for it. Throws std::bad_alloc.
    [[nodiscard]] bool enqueue_shared(const SharedFrame& frame);
    /// The same of a whole message. False, and nothing is done, unless it can be written at once.
    [[nodiscard]] bool write_shared(const SharedFrame& frame);
    /// The application ends it with an encoded Close, which tells what its session and the logs hear: the
    /// client only sees the end. The gate is closed.
    void enqueue_close(const SharedFrame& close) noexcept;

private:
    enum class State : std::uint8_t {
        open,
        ending,     ///< nothing more is sent; the session will be told at the end of the turn
        finishing,  ///< the session is gone; what is queued goes out
        lingering,  ///< our side is shut; the rest is read and discarded until the client's side is
    };

    void on_ready(std::uint32_t events) override;
    void on_time() noexcept override;
    void on_taken() noexcept override;
    void on_rate_exceeded(const char* reason) noexcept override;

    [[nodiscard]] bool takes_input() const noexcept {
        return state_ != State::ending && !paused() && !end_of_stream_ && !dead_;
    }
    void read();
    void send_text(std::string_view text);
    /// Of one frame of which nothing is kept.
    [[nodiscard]] SharedFrame encode(protocol::Opcode opcode, bool fin,
                                     std::span<const std::uint8_t> payload,
                                     std::string_view fields);
    template <class Make>
    [[nodiscard]] SendResult send_now(protocol::Opcode opcode, bool fin, Make make) noexcept;
    void queue_all(const SharedFrame& frames);
    /// Is counted already. Throws std::bad_alloc.
    void push(protocol::Opcode opcode, bool fin, SharedFrame event);
    void note_written() noexcept;

    void begin_end(const CloseInfo& info, Ender by, const char* reason) noexcept;
    void leave_at_boundary() noexcept;
    void finish() noexcept;
    void after_flush() noexcept;
    void tell_writable() noexcept;
    void keep_alive(Tick now) noexcept;
    void end_in_time(Tick now) noexcept;
    void start_close_timer() noexcept;
    template <class Work>
    void guarded(Work work) noexcept;

    CloseInfo info_{};                    ///< from leave() or `ending` on
    const char* leave_reason_ = nullptr;  ///< leave() was called
    std::uint32_t retry_ = 0;             ///< milliseconds
    protocol::EventEncoder encoder_;      ///< of a message in parts
    protocol::MessageType streamed_ = protocol::MessageType::text;
    protocol::BodyFraming framing_ = protocol::BodyFraming::bare;
    State state_ = State::open;
    bool streaming_ = false;  ///< a message went out in part; other messages wait
    bool announced_ = false;  ///< the session knows of the drain
};

}  // namespace websocket::engine
