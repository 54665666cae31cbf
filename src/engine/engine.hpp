// SPDX-License-Identifier: Apache-2.0
// All loops of a process behind one door.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "engine/connection_options.hpp"
#include "engine/loop.hpp"
#include "engine/open_counts.hpp"

namespace websocket::engine {

struct EngineOptions {
    unsigned loops = 1;                 ///< threads, 1 to ConnectionId::kMaxLoops
    std::uint32_t max_connections = 0;  ///< in this process; 0 for no limit of its own
    /// Called when the last loop has ended, on its thread; may be empty.
    std::function<void()> on_end = {};
    /// Bytes of broadcasts that may wait for one loop, one broadcast of any size beyond.
    std::size_t broadcast_buffer = 16U << 20;
    /// Counts the connections that are served; outlives the engine, may be null.
    OpenCounts* open_counts = nullptr;
    /// Where others see how many connections have a place; outlives the engine, may be null.
    std::atomic<std::uint32_t>* connections = nullptr;
};

/// Why there is no place for a connection.
enum class Refusal : std::uint8_t {
    too_many_connections,  ///< max_connections, or every slot, is taken
    no_resources,          ///< no memory, descriptor or thread for it
    stopping,              ///< or the time of a drain is over
    hanging,               ///< no loop comes back from what it does
};

/// Who wants to know when much is queued: then tell_when_writable() is asked behind a send.
enum class Tell : std::uint8_t { nobody, session };

/// Its threads begin with the first reservation, or begin(), so a process that serves no WebSocket has none.
class Engine {
public:
    /// A place for a channel of this kind, taken before the handshake is answered; given back when it is
    /// destroyed unused. Whoever has it may change the channel.
    template <class Kind>
    class PlaceOf {
    public:
        PlaceOf(PlaceOf&&) noexcept = default;
        PlaceOf& operator=(PlaceOf&&) noexcept = delete;
        ~PlaceOf() {
            if (channel_ != nullptr) engine_.give_back(loop_, std::move(channel_));
        }
        [[nodiscard]] ConnectionId id() const noexcept { return channel_->id(); }
        [[nodiscard]] Kind* operator->() const noexcept { return channel_.get(); }

    private:
        friend class Engine;
        PlaceOf(Engine& engine, Loop& loop, std::unique_ptr<Kind> channel) noexcept
            : engine_(engine), loop_(loop), channel_(std::move(channel)) {}

        Engine& engine_;
        Loop& loop_;
        std::unique_ptr<Kind> channel_;
    };
    using Place = PlaceOf<Connection>;

    /// `log` outlives the engine.
    // NOLINTNEXTLINE(modernize-pass-by-value): it is made once
    Engine(const EngineOptions& options, base::Log& log) noexcept
        : options_(options), log_(log),
          connections_(options.connections != nullptr ? *options.connections : own_connections_) {}
    /// Stops and waits for the threads.
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    /// Starts the loops unless somebody has, for who works without a connection. False: see `why`.
    /// [httpd worker]
    [[nodiscard]] bool begin(Refusal& why) noexcept;
    /// [httpd worker]
    template <class Kind = Connection>
    [[nodiscard]] std::optional<PlaceOf<Kind>> reserve(Refusal& why) noexcept;

    /// Serves a channel that is prepared. [httpd worker]
    template <class Kind>
    void serve(PlaceOf<Kind> place) noexcept {
        place.loop_.adopt(std::move(place.channel_));
    }
    /// Prepares a connection and serves it. `early_input` is what was received behind the handshake, `options`
    /// outlives the connection, `version` is the Sec-WebSocket-Version. [httpd worker]
    void adopt(Place place, net::AnyTransport transport, std::unique_ptr<Session> session,
               const ConnectionOptions& options, unsigned version,
               base::ByteBuffer early_input) noexcept;

    /// Sends one frame. `high_water` is the send_buffer of the connection's options. Never blocks.
    /// On the connection's own loop the frame may be on the wire when this returns. What is
    /// compressed is so on the calling thread, unless that is a loop and the message a long one, or
    /// the connection's messages refer to earlier ones. [any thread]
    [[nodiscard]] SendResult send(ConnectionId id, protocol::Opcode opcode,
                                  std::span<const std::uint8_t> payload, std::size_t high_water,
                                  Compression compression = Compression::as_agreed,
                                  Tell tell = Tell::nobody) noexcept;

    /// Sends an encoded frame, which may be one part of a message: then other messages of the
    /// connection wait for the last part. A whole message is compressed once for all connections
    /// that agreed on the same; parts are not compressed. [any thread]
    [[nodiscard]] SendResult send(ConnectionId id, const SharedFrame& frame, std::size_t high_water,
                                  Compression compression = Compression::as_agreed,
                                  Tell tell = Tell::nobody) noexcept;

    /// What the connection has agreed on, as long as it lives; describe() puts it into words.
    /// [any thread]
    [[nodiscard]] protocol::DeflateSettings deflate(ConnectionId id) noexcept;

    enum class Posted : std::uint8_t { yes, gone, no_memory };
    /// Has `task` run on the connection's loop, behind what the calling thread has sent, never
    /// before this returns. `id` may be that of a loop. Unless posted, `task` is untouched.
    /// [any thread]
    [[nodiscard]] Posted post(ConnectionId id, std::unique_ptr<LoopTask>& task) noexcept;

    /// A loop that hangs since this look, or that did.
    struct Hang {
        std::uint32_t loop;
        bool over;
        Heartbeat::Beat beat;  ///< what it does; nothing when it is over
    };
    /// To be called every HangDetector::kPollInterval, by one thread. Loops that hang get no new connections.
    /// Returns how many there are, and calls `report` for changes. [watcher]
    std::uint32_t look_for_hangs(std::chrono::steady_clock::time_point now,
                                 const std::function<void(const Hang&)>& report) noexcept;

    /// Names a loop, each in turn, for tasks that belong to no connection. The loops have begun.
    /// [any thread]
    [[nodiscard]] ConnectionId some_loop() noexcept;

    /// True when Session::on_writable() will be called once at most `low_water` bytes, half of the
    /// connection's send_buffer, are queued, maybe more than once for a message that has to wait behind one in
    /// parts; false when there is room for a frame of that kind already, or the connection closes or is gone.
    /// [any thread]
    [[nodiscard]] bool tell_when_writable(ConnectionId id, std::size_t low_water,
                                          Passage passage = Passage::behind) noexcept;

    /// Queued bytes, without messages that wait for the end of one in parts; nothing when the connection is closing or gone. [any thread]
    [[nodiscard]] std::optional<std::size_t> queued(ConnectionId id) noexcept;

    /// Begins the closing handshake behind what is queued; data sends answer `closing` from now on.
    /// False when it has begun already or the connection is gone. [any thread]
    bool close(ConnectionId id, const protocol::ClosePayload& payload) noexcept;

    /// Ends the effect of Flow::pause, or of Session::drained() having been false, behind all that
    /// the calling thread has sent. [any thread]
    void resume(ConnectionId id) noexcept;

    /// Blocks until at most `low_water` bytes are queued, or the connection closes or is gone.
    /// [any thread but a loop's]
    void wait_for_room(ConnectionId id, std::size_t low_water);

    // --- groups: one frame for many connections ---

    /// Before the first connection; `listener` outlives the engine.
    void set_group_listener(GroupListener& listener) noexcept { group_listener_ = &listener; }

    /// Takes effect before what the calling thread does next, and for what other threads do once
    /// they know of it. False when the connection is gone. A connection that is not served yet, or
    /// ends before the loop knows, is reported to GroupListener::on_gone(). Throws std::bad_alloc
    /// and has then done nothing. [any thread]
    [[nodiscard]] bool join(GroupId group, ConnectionId id);
    /// What was broadcast before still comes. [any thread]
    void leave(GroupId group, ConnectionId id) noexcept;
    /// [any thread]
    void leave_all(ConnectionId id) noexcept;

    /// Sends the frame to the members on one loop, whose options say what happens to the slow ones:
    /// nobody waits. Comes behind what the calling thread has sent to them so far, and before what
    /// it will send. `full` when broadcast_buffer is. [any thread]
    [[nodiscard]] SendResult broadcast(std::uint32_t loop, GroupId group, const SharedFrame& frame,
                                       ConnectionId except) noexcept;

    /// True on a thread that runs a loop and so must never block. [any thread]
    [[nodiscard]] static bool on_loop() noexcept { return Loop::current() != nullptr; }

    /// Places that were taken and not given back unused, so far. [any thread]
    [[nodiscard]] std::uint32_t taken() const noexcept {
        return taken_.load(std::memory_order_relaxed);
    }
    /// Connections that have a place. [any thread]
    [[nodiscard]] std::uint32_t connections() const noexcept {
        return connections_.load(std::memory_order_relaxed);
    }

    /// All connections are closed until the deadline, also those that still come: see Loop::drain().
    /// At the deadline the loops stop, within Loop::kStopTimeout, and nobody new is taken. May be
    /// called again to change the code or to bring the deadline closer. Async-signal-safe.
    /// [any thread]
    void begin_drain(const DrainOrder& order) noexcept;
    /// The end of the drain that has begun, if one has. [any thread]
    [[nodiscard]] std::optional<std::chrono::steady_clock::time_point>
    drain_deadline() const noexcept;
    /// What has become of the connections in a drain so far. [any thread]
    [[nodiscard]] Departures departures() const noexcept;

    /// Closes all connections with 1001 within Loop::kStopTimeout; no more can come.
    /// Async-signal-safe. [any thread]
    void begin_stop() noexcept;
    [[nodiscard]] bool stopping() const noexcept { return stopping_.load(); }
    /// The loops have begun, in this process or in the one that it was forked from. [any thread]
    [[nodiscard]] bool started() const noexcept { return started_.load(); }
    /// True when no loop runs any more. Async-signal-safe. [any thread]
    [[nodiscard]] bool stopped() const noexcept { return running_.load() == 0; }

private:
    [[nodiscard]] Loop* begin_reservation(Refusal& why) noexcept;
    void give_back(Loop& loop, std::unique_ptr<Channel> channel) noexcept;
    [[nodiscard]] bool start() noexcept;
    [[nodiscard]] bool takes_nobody() const noexcept;
    void run(Loop& loop) noexcept;
    void order_drain() noexcept;
    [[nodiscard]] Loop* next_loop() noexcept;
    [[nodiscard]] Loop* loop_of(ConnectionId id) noexcept { return loop_at(id.loop()); }
    [[nodiscard]] Loop* loop_at(std::uint32_t index) noexcept {
        const bool known = started_.load(std::memory_order_acquire) && index < loops_.size();
        return known ? loops_[index].get() : nullptr;
    }
    [[nodiscard]] SendResult send_otherwise(ConnectionId id, protocol::Opcode opcode,
                                            std::span<const std::uint8_t> payload,
                                            std::size_t high_water, Compression compression,
                                            Tell tell) noexcept;
    template <class Transmit, class Post>
    [[nodiscard]] SendResult send(ConnectionId id, std::size_t high_water, Passage passage,
                                  Tell tell, Transmit transmit, Post post) noexcept;

    const EngineOptions options_;
    base::Log& log_;
    std::atomic<std::uint32_t> own_connections_{0};
    std::atomic<std::uint32_t>& connections_;
    std::atomic<std::uint32_t> taken_{0};
    std::atomic<std::uint32_t> next_loop_{0};
    std::atomic<unsigned> running_{0};
    std::atomic<unsigned> ended_{0};
    std::atomic<bool> stopping_{false};
    std::atomic<bool> draining_{false};
    DrainRequest drain_request_;
    std::atomic<bool> started_{false};
    std::mutex start_mutex_;  // guards loops_ and threads_ until started_
    GroupListener* group_listener_ = nullptr;
    std::vector<std::unique_ptr<Loop>> loops_;
    std::vector<std::thread> threads_;
    std::vector<HangDetector> hang_detectors_;  // the watcher's own, once started_
    std::chrono::steady_clock::time_point last_look_;
};

template <class Kind>
std::optional<Engine::PlaceOf<Kind>> Engine::reserve(Refusal& why) noexcept {
    Loop* loop = begin_reservation(why);
    if (loop == nullptr) {
        return {};
    }
    why = Refusal::too_many_connections;
    try {
        if (auto channel = loop->reserve<Kind>()) {
            taken_.fetch_add(1, std::memory_order_relaxed);
            return PlaceOf<Kind>(*this, *loop, std::move(channel));
        }
    } catch (const std::bad_alloc&) {
        why = Refusal::no_resources;
    }
    connections_.fetch_sub(1, std::memory_order_relaxed);
    return {};
}

}  // namespace websocket::engine
