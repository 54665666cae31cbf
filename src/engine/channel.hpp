// SPDX-License-Identifier: Apache-2.0
// What a loop serves: a client in a slot of its own, and what waits to be written to it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <utility>

#include "base/iovec.hpp"
#include "base/log.hpp"
#include "engine/connection_id.hpp"
#include "engine/connection_options.hpp"
#include "engine/connection_record.hpp"
#include "engine/gate.hpp"
#include "engine/liveness.hpp"
#include "engine/outbox.hpp"
#include "engine/send_result.hpp"
#include "engine/session.hpp"
#include "engine/shared_frame.hpp"
#include "net/any_transport.hpp"
#include "net/reactor.hpp"
#include "protocol/close_code.hpp"

namespace websocket::engine {

class Loop;

/// Says that this costs a connection. [any thread]
inline void report_no_memory(base::Log& log) noexcept {
    log.write(base::LogLevel::error, "WS0301: out of memory, closing one connection");
}

/// How a channel fares when the time of a drain is over.
enum class Departure : std::uint8_t {
    in_order,            ///< it had ended, or waits for its peer's last word only
    forced,              ///< it is ended now
    forced_though_told,  ///< the same, though leave() was called
};

/// Lives on the heap from the reservation of its slot until the loop has closed its transport. Of which
/// kind it is says what its bytes mean; who may send to it, what waits, the descriptor, the record and how
/// it is counted are common to all. One that takes no messages leaves its gate closed to them. Everything
/// but id() belongs to the loop. [loop]
class Channel : protected net::EventHandler {
public:
    Channel(Loop& loop, Gate& gate, ConnectionId id) noexcept;
    virtual ~Channel();

    /// Gives it a record; before it is handed to its loop. [any thread]
    void attach(std::unique_ptr<ConnectionRecord> record) noexcept { record_ = std::move(record); }
    /// As which it is counted while it is served; before it is handed to its loop. [any thread]
    void count_as(std::uint8_t category) noexcept { category_ = category; }

    [[nodiscard]] ConnectionId id() const noexcept { return id_; }
    [[nodiscard]] const ConnectionOptions& options() const noexcept { return *options_; }
    [[nodiscard]] std::uint8_t category() const noexcept { return category_; }
    /// It has rates.
    [[nodiscard]] bool metered() const noexcept {
        return record_ != nullptr && record_->meter != nullptr;
    }
    /// Null when it has ended, or never had one.
    [[nodiscard]] Session* session() const noexcept { return session_.get(); }
    /// Bytes that wait.
    [[nodiscard]] std::size_t queued() const noexcept {
        return gate_.queued() + outbox_.parked_bytes();
    }
    /// Its session has ended, and the gate belongs to the next generation.
    [[nodiscard]] bool retired() const noexcept { return retired_; }
    /// The loop frees it.
    [[nodiscard]] bool dead() const noexcept { return dead_; }
    [[nodiscard]] bool is_connection() const noexcept { return is_connection_; }
    [[nodiscard]] bool is_event_stream() const noexcept { return is_event_stream_; }
    /// Has the loop told of its end for its groups.
    void make_member() noexcept { member_ = true; }

    // --- what its loop has it do ---

    /// It will not be served, instead of open(): whoever waits for it is told. [any thread]
    virtual void abandon() noexcept = 0;
    /// First call; it may be over when this returns. Throws std::bad_alloc.
    virtual void open() = 0;
    /// Does what other calls put off: reads on after a pause, writes, polls for what is missing.
    virtual void service() = 0;
    /// Carries out requests that could not be posted because memory ran out.
    virtual void recover_lost_requests() {}
    /// Tells its session, once, that it has this much time.
    virtual void announce_drain(std::chrono::milliseconds left) noexcept = 0;
    /// Ends as soon as nothing is cut in two. False when it ends already.
    virtual bool leave(protocol::CloseCode code, const char* reason) noexcept = 0;
    /// Ends at once; what is queued goes out first, within close_timeout.
    virtual void fail(protocol::CloseCode code, const char* reason) noexcept = 0;
    /// As fail(), and the log says why.
    void fail_without_memory() noexcept;
    /// The same, when the time is over.
    virtual Departure cut_short(protocol::CloseCode code, const char* reason) noexcept = 0;
    /// Ends everything at once; the loop frees it.
    virtual void kill() noexcept = 0;
    /// The time of a pause that its rate has brought is over.
    void end_rate_pause() noexcept;

    static constexpr std::uint32_t kLast = UINT32_MAX - 1;
    static constexpr std::uint32_t kUnlisted = UINT32_MAX;
    std::uint32_t next_dirty = kUnlisted;  ///< slot of the next one in the loop's list, or kLast

protected:
    enum Pause : std::uint8_t {
        kForSession = 1,
        kForPeer = 2,
        kForRate = 4,
        kForApplication = 8,
    };
    static constexpr std::uint8_t kAllPauses = 15;

    void pause(Pause why) noexcept { pause_ = (pause_ | why) & kAllPauses; }
    void end_pause(Pause why) noexcept { pause_ = (pause_ & ~why) & kAllPauses; }
    void end_pauses() noexcept { pause_ = 0; }
    /// Nothing is to be read.
    [[nodiscard]] bool paused() const noexcept { return pause_ != 0; }

    /// Its transport, and what to serve it with. [any thread]
    void prepare(net::AnyTransport transport, std::unique_ptr<Session> session,
                 const ConnectionOptions& options) noexcept;

    /// Has the descriptor polled for input as it is wanted, and for output while some waits. False when the
    /// kernel refuses.
    [[nodiscard]] bool poll(bool input) noexcept;

    // Outgoing bytes. Each is counted in the gate until it is written.
    /// Has `queue()`, which may throw std::bad_alloc, queue so many bytes if the gate admits them.
    template <class Queue>
    [[nodiscard]] SendResult admit(std::size_t bytes, Passage passage, Queue queue) noexcept {
        const SendResult result =
            to_result(gate_.admit(id_.generation(), bytes, options_->send_buffer, passage));
        if (result != SendResult::ok) {
            return result;
        }
        try {
            queue();
            return SendResult::ok;
        } catch (const std::bad_alloc&) {
            account_written(bytes);
            return SendResult::no_memory;
        }
    }
    /// Queues what was not admitted, but has to be sent. Throws std::bad_alloc.
    void queue(SharedFrame frame);
    /// Keeps a counted message aside until end_parts(): of these, too, no more than send_buffer. `plain`: it is to be
    /// compressed. Throws std::bad_alloc and has then done nothing.
    void park(SharedFrame frame, bool plain = false);
    /// Queues the last part of a message, which is counted, or none, and behind it what was kept aside. Throws
    /// as park().
    void end_parts(SharedFrame last);
    /// Nobody can send to it any more, nor waits to.
    void close_gate() noexcept;
    /// Writes it at once, and queues what the socket does not take; with an empty outbox. False when the
    /// connection is broken, or is now for want of memory.
    [[nodiscard]] bool write_or_queue(const SharedFrame& frame) noexcept {
        const std::span<const std::uint8_t> bytes = frame.bytes();
        const iovec slot = base::to_iovec(bytes);
        const net::IoResult result = transport_.write({&slot, 1});
        account_wire(result.count);
        return (result.status == net::IoStatus::done && result.count == bytes.size()) ||
               queue_rest(frame, result);
    }
    /// Writes what waits, as far as the socket takes it. True when nothing is left.
    [[nodiscard]] bool flush() noexcept;
    void account_written(std::size_t bytes) noexcept;
    void account_wire(std::size_t bytes) noexcept {
        if (record_ != nullptr) record_->traffic.bytes_out += bytes;
    }

    // For the record. Without one, each costs a comparison; the rest is in channel_rates.cpp.
    [[nodiscard]] std::size_t largest_read() const noexcept {
        return record_ == nullptr ? SIZE_MAX : largest_recorded_read();
    }
    /// False when this was more than the peer may send, and on_rate_exceeded() has dealt with it.
    [[nodiscard]] bool admit_message() noexcept { return record_ == nullptr || record_message(); }
    [[nodiscard]] bool admit_fragment() noexcept { return record_ == nullptr || record_frame(); }
    [[nodiscard]] bool admit_control_frame() noexcept {
        return record_ == nullptr || record_control_frame();
    }
    /// With a record only; `charged`: it counts for the rate of bytes.
    void record_read(std::size_t bytes, bool charged) noexcept;
    /// The peer sends more than it may, and is to be closed for it.
    virtual void on_rate_exceeded(const char* reason) noexcept = 0;

    [[nodiscard]] std::size_t low_water() const noexcept { return options_->send_buffer / 2; }

    /// The next in the outbox has to be encoded before it can be written.
    virtual void encode_next() noexcept {}
    /// The peer has taken some of what waited.
    virtual void on_taken() noexcept = 0;

    /// Nobody can send to it any more, and it is in no group.
    void retire() noexcept;
    /// The rest of kill().
    void die() noexcept;

    Loop& loop_;
    Gate& gate_;
    ConnectionId id_;
    net::AnyTransport transport_;
    std::unique_ptr<Session> session_;
    std::unique_ptr<ConnectionRecord> record_;  ///< null unless somebody asked for it
    const ConnectionOptions* options_ = nullptr;
    Outbox outbox_;
    Liveness liveness_;
    std::uint8_t polled_ = 0;           ///< what epoll watches now
    bool is_connection_ : 1 = false;    ///< a Connection
    bool is_event_stream_ : 1 = false;  ///< an EventStream
    bool registered_ : 1 = false;       ///< epoll knows the descriptor
    bool watches_input_ : 1 = false;
    bool broken_ : 1 = false;         ///< a write failed during a callback; service() ends it
    bool end_of_stream_ : 1 = false;  ///< the peer's side is shut
    bool retired_ : 1 = false;
    bool room_again_ : 1 = false;  ///< somebody wants to be told that little is queued
    bool member_ : 1 = false;      ///< of a group of the loop
    bool dead_ : 1 = false;

private:
    /// What a write with this result has not taken.
    [[nodiscard]] bool queue_rest(const SharedFrame& frame, const net::IoResult& result) noexcept;
    [[nodiscard]] std::size_t largest_recorded_read() const noexcept;
    [[nodiscard]] bool record_message() noexcept;
    [[nodiscard]] bool record_frame() noexcept;
    [[nodiscard]] bool record_control_frame() noexcept;
    [[nodiscard]] bool charge(base::TokenBucket& bucket, std::uint64_t per_second,
                              std::uint64_t amount, RatePolicy policy, const char* reason) noexcept;
    void pause_for_rate(std::chrono::milliseconds time) noexcept;
    void stop_pause_timer() noexcept;

    std::uint8_t pause_ : 4 = 0;  ///< Pause bits
    std::uint8_t category_ = 0;   ///< of OpenCounts
};

}  // namespace websocket::engine
