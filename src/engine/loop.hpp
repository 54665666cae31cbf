// SPDX-License-Identifier: Apache-2.0
// One thread's event loop and the channels that belong to it for life.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/log.hpp"
#include "engine/channel.hpp"
#include "engine/command.hpp"
#include "engine/connection.hpp"
#include "engine/cork.hpp"
#include "engine/drain.hpp"
#include "engine/errand.hpp"
#include "engine/event_stream.hpp"
#include "engine/groups.hpp"
#include "engine/heap_trim.hpp"
#include "engine/heartbeat.hpp"
#include "engine/loop_task.hpp"
#include "engine/open_counts.hpp"
#include "engine/shared_deflate.hpp"
#include "engine/slot_table.hpp"
#include "engine/stand_in.hpp"
#include "engine/tick.hpp"
#include "engine/turn_end.hpp"
#include "net/inbox.hpp"
#include "net/reactor.hpp"
#include "net/watches.hpp"

namespace websocket::engine {

/// Bytes of a message that a loop compresses at a time, which takes about a millisecond.
constexpr std::size_t kDeflatePart = 64U << 10;

class Loop {
public:
    /// `on_slot_free` is called on the loop each time a connection is gone for good. Throws
    /// std::system_error without descriptors, std::bad_alloc without memory.
    Loop(std::uint32_t index, base::Log& log, std::function<void()> on_slot_free);
    ~Loop();
    /// Before run(): what broadcasts may wait, and who hears of lost members.
    void set_groups(std::size_t broadcast_buffer, GroupListener* listener) noexcept;
    /// Before run(): where connections are counted; may be null.
    void set_open_counts(OpenCounts* counts) noexcept { open_counts_ = counts; }
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    /// Serves until stop(), and calls `on_end` when the last connection is gone. The calling thread is the loop's
    /// thread; if it is lent then, another one calls `on_end`, before this returns.
    void run(const std::function<void()>& on_end) noexcept;

    /// Closes everything until the deadline, evenly spread, each at the end of a message and when it
    /// is answered; what is left then is closed as stop() does. Sessions are told. A later order may
    /// change the code and bring the deadline closer. Async-signal-safe. [any thread]
    void drain(const DrainOrder& order) noexcept;
    /// What has become of the connections so far. [any thread]
    [[nodiscard]] Departures departures() const noexcept {
        return {in_order_.load(std::memory_order_relaxed), forced_.load(std::memory_order_relaxed)};
    }

    /// Closes everything with 1001; run() returns within `kStopTimeout`. Async-signal-safe.
    /// [any thread]
    void stop() noexcept;
    static constexpr std::chrono::milliseconds kStopTimeout{1000};

    /// The loop that runs on this thread, or null.
    [[nodiscard]] static Loop* current() noexcept { return current_; }

    /// While it lives, a thread that a loop has lent is that loop's again, unless the stand-in leads. Elsewhere
    /// without effect.
    class Visit {
    public:
        explicit Visit(Loop& loop) noexcept : loop_(lent_ == &loop ? begin(loop) : nullptr) {}
        ~Visit() {
            if (loop_ != nullptr) {
                current_ = nullptr;
                loop_->stand_in_->end_visit();
            }
        }
        Visit(const Visit&) = delete;
        Visit& operator=(const Visit&) = delete;

        [[nodiscard]] bool begun() const noexcept { return loop_ != nullptr; }

    private:
        [[nodiscard]] static Loop* begin(Loop& loop) noexcept;

        Loop* const loop_;
    };

    [[nodiscard]] std::uint32_t index() const noexcept { return index_; }

    // --- [any thread] ---

    [[nodiscard]] Heartbeat& heartbeat() noexcept { return heartbeat_; }

    /// A channel of this kind with a slot of its own, or null when there is no slot. Throws
    /// std::bad_alloc.
    template <class Kind>
    [[nodiscard]] std::unique_ptr<Kind> reserve();
    /// Gives back what reserve() returned; its id is stale from now on.
    void discard(std::unique_ptr<Channel> channel) noexcept;
    /// Serves a prepared channel, or abandons it when it cannot.
    void adopt(std::unique_ptr<Channel> channel) noexcept;

    /// True when what this thread asks for may happen at once, and not behind what it has posted, nor, within an
    /// errand, behind what others have: the errand may know of it.
    [[nodiscard]] bool at_once() const noexcept {
        return current_ == this && own_posts_ == 0 && !(lent_ == this && inbox_.any());
    }
    /// Sends a message, if it comes from a callback of this very connection and is as most answers are:
    /// see Connection::try_cork(). Else nothing is done.
    [[nodiscard]] bool try_cork(ConnectionId id, protocol::Opcode opcode,
                                std::span<const std::uint8_t> payload,
                                Compression compression) noexcept {
        const Visit visit(*this);
        Connection* const owner = at_once() ? cork_owner(id, visit) : nullptr;
        return owner != nullptr && owner->id() == id &&
               owner->try_cork(cork_, opcode, payload, compression);
    }
    /// Has a message sent by the loop. `high_water` is the send_buffer of the connection's options.
    [[nodiscard]] SendResult post_message(ConnectionId id, protocol::Opcode opcode,
                                          std::span<const std::uint8_t> payload,
                                          std::size_t high_water, Compression compression) noexcept;
    /// The same with an encoded frame, which may be part of a message.
    [[nodiscard]] SendResult post_message(ConnectionId id, const SharedFrame& frame,
                                          std::size_t high_water, Compression compression) noexcept;
    [[nodiscard]] protocol::DeflateSettings deflate(ConnectionId id) noexcept;
    /// Has `task` run on the loop, behind what the calling thread has sent. False, and `task` is
    /// untouched, when the loop has ended or without memory; `ended` says which.
    [[nodiscard]] bool post(ConnectionId id, std::unique_ptr<LoopTask>& task, bool& ended) noexcept;
    /// True when Session::on_writable() will be called; false when `low_water` bytes or less are
    /// queued, or the connection closes.
    [[nodiscard]] bool tell_when_writable(ConnectionId id, std::size_t low_water,
                                          Passage passage) noexcept;
    /// Queued bytes; nothing when the connection is closing or gone.
    [[nodiscard]] std::optional<std::size_t> queued(ConnectionId id) noexcept;
    /// Begins the closing handshake; false when it has begun already or the connection is gone.
    bool close(ConnectionId id, const protocol::ClosePayload& payload) noexcept;
    /// Ends the effect of Flow::pause, or of Session::drained() having been false.
    void resume(ConnectionId id) noexcept;
    /// Blocks until at most `low_water` bytes are queued or the connection closes. [not a loop]
    void wait_for_room(ConnectionId id, std::size_t low_water);

    // As in Engine.
    [[nodiscard]] bool join(GroupId group, ConnectionId id);
    void leave(GroupId group, ConnectionId id) noexcept;
    void leave_all(ConnectionId id) noexcept;
    [[nodiscard]] SendResult broadcast(GroupId group, const SharedFrame& frame,
                                       ConnectionId except) noexcept;

    // --- [loop], for channels ---

    [[nodiscard]] Cork& cork() noexcept { return cork_; }
    /// Has the channel serviced at the end of this turn, or freed if it is dead by then.
    void mark_dirty(Channel& channel) noexcept {
        if (channel.next_dirty == Channel::kUnlisted) {
            channel.next_dirty = std::exchange(dirty_, channel.id().slot());
        }
    }
    void wake_senders() noexcept;
    /// The connection has ended and is a member no more.
    void end_memberships(ConnectionId id) noexcept;

    [[nodiscard]] std::span<std::uint8_t> read_buffer() noexcept {
        return {read_buffer_.get(), kReadBuffer};
    }
    /// What the connection has agreed on; see SlotTable. [any thread]
    [[nodiscard]] protocol::DeflateSettings agreed(ConnectionId id) const noexcept {
        return slots_.deflate(id.slot());
    }
    void agree(ConnectionId id, const protocol::DeflateSettings& settings) {
        slots_.set_deflate(id.slot(), settings);
    }
    /// True of a message that will still be there when the errands of its connection run, which is before any other
    /// channel has its turn.
    [[nodiscard]] bool stays(const Message& message) const noexcept {
        const std::uint8_t* const data = message.payload.data();
        return dispatching_ &&
               (message.owner != nullptr ||
                (data >= read_buffer_.get() && data < read_buffer_.get() + kReadBuffer));
    }
    [[nodiscard]] SharedDeflate& shared_deflate() noexcept { return shared_deflate_; }
    [[nodiscard]] HeapTrim& heap_trim() noexcept { return heap_trim_; }
    /// The session has ended: so have its timers and watches.
    void forget(ConnectionId id) noexcept;
    /// Calls `work` once, before the loop waits or ends. It must not wait already.
    void put_off(TurnEnd& work) noexcept { work.next_ = std::exchange(turn_ends_, &work); }
    /// This thread may do what could block: there would be another one to go on with the loop.
    [[nodiscard]] bool may_be_lent() noexcept;
    /// Runs the errands of `borrower` soon, at least some of them, each between what two channels do. There is one
    /// borrower, and the loop may_be_lent().
    void lend_to(Borrower& borrower) noexcept { borrower_ = &borrower; }
    [[nodiscard]] net::Reactor& reactor() noexcept { return reactor_; }
    [[nodiscard]] net::Watches& watches() noexcept { return watches_; }
    /// Null unless it is served, and a connection.
    [[nodiscard]] Connection* find(ConnectionId id) noexcept {
        Slot* slot = slots_.find(id.slot());
        Channel* channel = slot != nullptr ? slot->channel : nullptr;
        return channel != nullptr && channel->id() == id && channel->is_connection()
                   ? static_cast<Connection*>(channel)
                   : nullptr;
    }
    /// The same of an event stream.
    [[nodiscard]] EventStream* find_stream(ConnectionId id) noexcept;
    /// Null unless it is served and its session has not ended.
    [[nodiscard]] Channel* serving(ConnectionId id) noexcept;
    /// What is read now may have been sent any time since then: the present, but for a while after
    /// the loop stood still. For connections with rates only.
    [[nodiscard]] std::chrono::milliseconds unread_since() const noexcept {
        return reactor_.time() < standstill_.caught_up ? standstill_.begun : reactor_.time();
    }
    [[nodiscard]] base::Log& log() noexcept { return log_; }
    /// A drain is going on and has time left.
    [[nodiscard]] bool draining() const noexcept { return drain_.active() && !stopping_; }

private:
    /// A message of 256 KiB is one read. More would only be more that a client leaves behind whose connection is
    /// paused in the middle of a read.
    static constexpr std::size_t kReadBuffer = 260U << 10;

    void turn() noexcept;
    [[nodiscard]] bool begin_turn();
    void finish_turn();
    [[nodiscard]] bool is_over() noexcept;
    template <class Work>
    void guarded(Work work) noexcept {
        try {
            work();
        } catch (const std::bad_alloc&) {
            log_.write(base::LogLevel::error, "WS0301: out of memory in an event loop");
        }
    }
    [[nodiscard]] std::chrono::milliseconds most_wait() const noexcept;
    void note_standstill(std::chrono::milliseconds turn, std::chrono::milliseconds asked,
                         const net::Reactor::Waited& waited) noexcept;
    void carry_out_commands();
    [[nodiscard]] std::vector<Command>::iterator
    carry_out_corked(std::vector<Command>::iterator command);
    void carry_out(Command& command, Connection* connection);
    void carry_out(Command& command, EventStream& stream) noexcept;
    [[nodiscard]] Channel* find_any(ConnectionId id) noexcept;
    void carry_out_for_group(Command& command) noexcept;
    void join_now(const Command& command) noexcept;
    [[nodiscard]] std::vector<Command>::iterator
    broadcast_now(std::vector<Command>::iterator command) noexcept;
    template <class Member>
    [[nodiscard]] bool send_broadcast(Member& member, const SharedFrame& frame) noexcept;
    [[nodiscard]] std::size_t send_broadcasts(EventStream& stream, std::span<const Command> all,
                                              bool last) noexcept;
    void leave_or_close(Command&& command) noexcept;
    void start_serving(std::unique_ptr<Channel> channel);
    void service_dirty();
    void end_turn() noexcept;
    [[nodiscard]] bool lend();
    [[nodiscard]] bool lend_for(Errand& errand) noexcept;
    void serve_meanwhile() noexcept;
    [[nodiscard]] Connection* cork_owner(ConnectionId id, const Visit& visit) noexcept {
        return visit.begun() && cork_.owner() == nullptr ? cork_for(id) : cork_.owner();
    }
    [[nodiscard]] Connection* cork_for(ConnectionId id) noexcept;
    void uncork() noexcept;
    void free_channel(Channel* channel) noexcept;
    void take_drain_order() noexcept;
    void advance_drain();
    void begin_stop(protocol::CloseCode code, const char* reason) noexcept;
    void post_or_remember(Command&& command) noexcept;
    [[nodiscard]] SendResult send_deflated(ConnectionId id, protocol::Opcode opcode,
                                           std::span<const std::uint8_t> payload,
                                           std::size_t high_water) noexcept;
    [[nodiscard]] SendResult send_deflated(ConnectionId id, const SharedFrame& frame,
                                           std::size_t high_water) noexcept;
    /// Whether a message from another thread is to be compressed.
    [[nodiscard]] bool deflates(ConnectionId id, protocol::Opcode opcode,
                                std::size_t size) noexcept;
    [[nodiscard]] SendResult worth_deflating(ConnectionId id, std::size_t size,
                                             std::size_t high_water) noexcept;
    [[nodiscard]] SendResult post_frame(Command::Kind kind, ConnectionId id,
                                        const SharedFrame& frame, std::size_t high_water) noexcept;
    [[nodiscard]] std::optional<SendResult>
    extend_last_message(ConnectionId id, const protocol::EncodedHeader& header,
                        std::span<const std::uint8_t> payload, std::size_t high_water) noexcept;
    template <class MakeFrame>
    [[nodiscard]] SendResult post_frame(Command::Kind kind, ConnectionId id, std::size_t bytes,
                                        std::size_t high_water, Passage passage,
                                        MakeFrame make_frame) noexcept;
    [[nodiscard]] bool awaits_reserved() const noexcept;
    [[nodiscard]] bool end_tasks() noexcept;
    [[nodiscard]] Gate* gate(ConnectionId id) noexcept;
    [[nodiscard]] bool post(Command&& command);

    // Asked for with every send: initial-exec saves the call that finds a module's thread-locals.
    // NOLINTNEXTLINE(readability-identifier-naming): a member, whatever clang-tidy takes it for
    [[gnu::tls_model("initial-exec")]] static constinit thread_local Loop* current_;
    /// The loop whose thread this is while it does what may block.
    // NOLINTNEXTLINE(readability-identifier-naming)
    [[gnu::tls_model("initial-exec")]] static constinit thread_local Loop* lent_;

    const std::uint32_t index_;
    base::Log& log_;
    const std::function<void()> on_slot_free_;
    OpenCounts* open_counts_ = nullptr;
    net::Reactor reactor_{kTickLength};
    net::Inbox<Command> inbox_{reactor_};
    net::Watches watches_{reactor_};
    SlotTable slots_;
    std::unique_ptr<std::uint8_t[]> read_buffer_;
    std::unique_ptr<std::uint8_t[]> spare_buffer_;  ///< while an errand has the other one

    std::atomic<std::uint32_t> reserved_{0};  ///< channels that are neither served nor discarded
    std::atomic<bool> stop_requested_{false};
    std::atomic<bool> drain_requested_{false};
    DrainRequest drain_request_;
    std::atomic<std::uint32_t> in_order_{0};
    std::atomic<std::uint32_t> forced_{0};
    std::atomic<std::uint64_t> last_receiver_{
        0};  ///< id of it, if the last command may be Kind::messages
    std::atomic<bool> lost_requests_{false};  ///< a close or resume could not be posted
    std::mutex room_mutex_;                   // orders Gate::begin_wait() against wake_senders()
    std::condition_variable room_;
    SharedDeflate shared_deflate_;
    std::atomic<std::size_t> broadcasts_{0};  ///< bytes of them in the inbox
    std::size_t broadcast_buffer_ = SIZE_MAX;
    GroupListener* group_listener_ = nullptr;

    Heartbeat heartbeat_;

    // the loop's own
    Drain drain_;
    HeapTrim heap_trim_;
    Cork cork_;
    std::uint32_t dirty_ = Channel::kLast;  ///< slot of the first one
    TurnEnd* turn_ends_ = nullptr;          ///< the last one that was put off
    Borrower* borrower_ = nullptr;          ///< who has errands for the loop's thread
    std::unique_ptr<StandIn> stand_in_;     ///< null until there was one
    bool no_stand_in_ = false;              ///< there is no thread for one, or no memory
    bool dispatching_ = false;              ///< a channel's errands follow what it does
    bool stand_in_leads_ = false;
    bool ended_ = false;
    std::function<void()> on_end_;
    std::vector<Command> batch_;
    std::vector<Command>::iterator broadcasts_end_;  ///< behind the last broadcast of batch_
    std::size_t own_posts_ = 0;  ///< commands of this thread that are not carried out
    Groups groups_;
    std::size_t serving_ = 0;
    std::size_t metered_ = 0;  ///< of these, with rates
    struct Standstill {
        std::chrono::milliseconds begun{0};
        std::chrono::milliseconds caught_up{0};  ///< when what came meanwhile has been read
    };
    Standstill standstill_;
    bool stopping_ = false;
    Tick stop_deadline_ = 0;
};

template <class Kind>
std::unique_ptr<Kind> Loop::reserve() {
    const std::optional<std::uint32_t> index = slots_.take();
    if (!index) {
        return nullptr;
    }
    Gate& gate = slots_.find(*index)->gate;
    try {
        auto channel =
            std::make_unique<Kind>(*this, gate, ConnectionId(index_, *index, gate.generation()));
        reserved_.fetch_add(1);
        return channel;
    } catch (...) {
        slots_.give_back(*index);
        throw;
    }
}

}  // namespace websocket::engine
