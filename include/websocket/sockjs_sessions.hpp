// SPDX-License-Identifier: Apache-2.0
// The connections that speak SockJS, and the server as their plugin sees it then. Part of websocket/sockjs.hpp.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "extension_tables.hpp"
#include "sockjs_frames.hpp"

namespace websocket::sockjs {

/// A connection of a plugin with `sockjs on`, whether or not it has frames of SockJS. [conn], unless it says else.
struct Session {
    Session(const ws_plugin& of, void* self, const ws_host* host, ws_conn id) noexcept
        : plugin(of), plugin_self(self), real(host), conn(id) {}

    const ws_plugin& plugin;
    void* const plugin_self;
    const ws_host* const real;
    const ws_conn conn;
    void* state = nullptr;             ///< the plugin's
    bool framed = false;               ///< never changes once others know the connection
    std::atomic<bool> open{false};     ///< `o` was sent; [any thread]
    std::atomic<bool> closing{false};  ///< the plugin has closed it; [any thread]
    std::atomic<bool> paused{false};   ///< the plugin wants no messages; [any thread]
    std::deque<std::string>
        waiting;              ///< messages of a frame in the middle of which the plugin paused
    std::string parts;        ///< of a message that comes in parts
    std::mutex stream_mutex;  ///< guards what follows
    std::string stream;       ///< of a message that the plugin sends in parts
    bool streaming = false;

    /// Hands the plugin one message after the other, until it pauses or closes. [conn]
    void deliver_waiting() {
        while (!waiting.empty() && !paused && !closing) {
            std::string message = std::move(waiting.front());
            waiting.pop_front();
            auto* bytes = reinterpret_cast<std::uint8_t*>(message.data());
            if ((plugin.flags & WS_WANTS_FRAGMENTS) != 0) {
                plugin.on_fragment(plugin_self, state, conn, WS_TEXT, WS_FIRST | WS_LAST, bytes,
                                   message.size());
            } else {
                plugin.on_message(plugin_self, state, conn, WS_TEXT, bytes, message.size());
            }
        }
        if (closing) waiting.clear();
    }
    /// What the client has sent. [conn]
    void take(std::uint32_t type, std::string_view frame) {
        auto messages = type == WS_TEXT ? FrameReader::read(frame) : std::nullopt;
        if (!messages) {
            constexpr std::string_view kReason = "Broken framing.";
            closing = true;
            waiting.clear();
            real->close(real, conn, 3000, kReason.data(), kReason.size());
            return;
        }
        for (std::string& message : *messages) waiting.push_back(std::move(message));
        deliver_waiting();
    }
};

/// Those that have frames of SockJS, by their number. [any thread]
class Sessions {
public:
    /// Null unless it is framed.
    [[nodiscard]] std::shared_ptr<Session> find(ws_conn conn) const {
        const Shard& shard = shard_of(conn);
        const std::lock_guard lock(shard.mutex);
        const auto found = shard.sessions.find(conn);
        return found != shard.sessions.end() ? found->second : nullptr;
    }
    void add(const std::shared_ptr<Session>& session) {
        Shard& shard = shard_of(session->conn);
        const std::lock_guard lock(shard.mutex);
        shard.sessions.emplace(session->conn, session);
    }
    void remove(ws_conn conn) noexcept {
        Shard& shard = shard_of(conn);
        const std::lock_guard lock(shard.mutex);
        shard.sessions.erase(conn);
    }

private:
    struct Shard {
        mutable std::mutex mutex;  // guards sessions
        std::unordered_map<ws_conn, std::shared_ptr<Session>> sessions;
    };
    static constexpr std::size_t kShards = 64;

    [[nodiscard]] static std::size_t index(ws_conn conn) noexcept {
        return static_cast<std::size_t>(conn * 0x9E3779B97F4A7C15U >> 58);
    }
    [[nodiscard]] const Shard& shard_of(ws_conn conn) const noexcept {
        return shards_[index(conn)];
    }
    [[nodiscard]] Shard& shard_of(ws_conn conn) noexcept { return shards_[index(conn)]; }

    std::array<Shard, kShards> shards_;
};

/// A message that is prepared for both kinds of connections.
struct Buffer {
    const ws_buffer_1* table;
    ws_buffer* plain;
    ws_buffer* framed;  ///< null: it is no text
    std::atomic<std::uint32_t> references{1};
};

/// The server, for a plugin that knows nothing of SockJS: what goes out to connections with frames gets them.
class FramingHost {
public:
    explicit FramingHost(const ws_host* real) : table_{*real, this}, real_(real), tables_(real) {
        table_.abi.size = sizeof(ws_host);
        table_.abi.send = send;
        table_.abi.close = close;
        table_.abi.queued = [](const ws_host* host, ws_conn conn, std::uint64_t* bytes) {
            return real_of(host)->queued(real_of(host), conn, bytes);
        };
        table_.abi.log = [](const ws_host* host, std::uint32_t level, const char* text,
                            std::uint64_t n) { real_of(host)->log(real_of(host), level, text, n); };
        table_.abi.extension = extension;
        if (tables_.metrics != nullptr)
            own_metrics_ = {sizeof own_metrics_, 0, metric, tables_.metrics->add,
                            tables_.metrics->set};
    }
    FramingHost(const FramingHost&) = delete;
    FramingHost& operator=(const FramingHost&) = delete;

    [[nodiscard]] const ws_host* abi() const noexcept { return &table_.abi; }
    [[nodiscard]] Sessions& sessions() noexcept { return sessions_; }
    [[nodiscard]] const ws_timer_1* timers() const noexcept { return tables_.timer; }

private:
    struct Table {
        ws_host abi;
        FramingHost* server;
    };
    static FramingHost& of(const ws_host* host) noexcept {
        return *reinterpret_cast<const Table*>(host)->server;
    }
    static const ws_host* real_of(const ws_host* host) noexcept { return of(host).real_; }
    [[nodiscard]] static std::string_view view(const void* bytes, std::uint64_t n) noexcept {
        return {static_cast<const char*>(bytes), static_cast<std::size_t>(n)};
    }
    /// Runs `work`; out of memory is a result.
    template <class Work>
    static ws_result guarded(Work work) noexcept {
        try {
            return work();
        } catch (...) {
            return WS_NO_MEMORY;
        }
    }

    static ws_result send(const ws_host* host, ws_conn conn, std::uint32_t type, const void* bytes,
                          std::uint64_t n, std::uint32_t flags) {
        return guarded([&]() -> ws_result {
            const ws_host* real = real_of(host);
            const bool message = type == WS_TEXT || type == WS_BINARY;
            const auto session = message ? of(host).sessions_.find(conn) : nullptr;
            if (session == nullptr || (bytes == nullptr && n > 0)) {
                return real->send(real, conn, type, bytes, n, flags);
            }
            if (!session->open || session->closing) return WS_GONE;
            if (type == WS_BINARY) return WS_BAD_ARG;  // there is no frame for it
            const std::string frame = message_frame(view(bytes, n));
            return real->send(real, conn, type, frame.data(), frame.size(), flags);
        });
    }
    static ws_result close(const ws_host* host, ws_conn conn, std::uint32_t code,
                           const char* reason, std::uint64_t n) {
        return guarded([&]() -> ws_result {
            const ws_host* real = real_of(host);
            const auto session = of(host).sessions_.find(conn);
            const bool valid = (code >= 1000 && code < 5000 && code != 1005 && code != 1006 &&
                                code != 1015 && (reason != nullptr || n == 0)) ||
                               (code == 0 && n == 0);
            if (session != nullptr && valid) {
                if (!session->open || session->closing.exchange(true)) return WS_GONE;
                const std::string frame = close_frame(code != 0 ? code : 1000, view(reason, n));
                real->send(real, conn, WS_TEXT, frame.data(), frame.size(), 0);
            }
            return real->close(real, conn, code, reason, n);
        });
    }

    /// What is published goes to two topics, one of them for connections with frames. Its name has the other's behind
    /// a prefix that no text has, so that clients who choose topics by text cannot name it.
    [[nodiscard]] static std::string framed_topic(const void* topic, std::uint64_t n) {
        std::string name("\xFF"
                         "sockjs:");
        if (topic != nullptr) name += view(topic, n);
        return name;
    }
    static ws_result subscribe(const ws_host* host, ws_conn conn, const void* topic,
                               std::uint64_t n) {
        return guarded([&]() -> ws_result {
            const FramingHost& server = of(host);
            const auto session = server.sessions_.find(conn);
            if (session == nullptr || topic == nullptr || n == 0) {
                return server.tables_.topic->subscribe(server.real_, conn, topic, n);
            }
            if (!session->open) return WS_GONE;
            const std::string name = framed_topic(topic, n);
            return server.tables_.topic->subscribe(server.real_, conn, name.data(), name.size());
        });
    }
    static ws_result unsubscribe(const ws_host* host, ws_conn conn, const void* topic,
                                 std::uint64_t n) {
        return guarded([&]() -> ws_result {
            const FramingHost& server = of(host);
            if (server.sessions_.find(conn) == nullptr || topic == nullptr || n == 0) {
                return server.tables_.topic->unsubscribe(server.real_, conn, topic, n);
            }
            const std::string name = framed_topic(topic, n);
            return server.tables_.topic->unsubscribe(server.real_, conn, name.data(), name.size());
        });
    }
    static ws_result publish(const ws_host* host, const void* topic, std::uint64_t topic_size,
                             std::uint32_t type, const void* bytes, std::uint64_t n, ws_conn except,
                             std::uint32_t flags) {
        return guarded([&]() -> ws_result {
            const FramingHost& server = of(host);
            const ws_result first = server.tables_.topic->publish(server.real_, topic, topic_size,
                                                                  type, bytes, n, except, flags);
            if (type != WS_TEXT || first == WS_BAD_ARG) return first;
            const std::string name = framed_topic(topic, topic_size);
            if (name.size() > 255) return first;  // nobody could subscribe
            const std::string frame = message_frame(view(bytes, n));
            const ws_result second =
                server.tables_.topic->publish(server.real_, name.data(), name.size(), type,
                                              frame.data(), frame.size(), except, flags);
            return first < WS_OK ? first : second;
        });
    }

    static ws_buffer* make(const ws_host* host, std::uint32_t type, const void* bytes,
                           std::uint64_t n) {
        try {
            const FramingHost& server = of(host);
            const ws_buffer_1& table = *server.tables_.buffer;
            std::string frame;
            if (type == WS_TEXT && (bytes != nullptr || n == 0)) {
                frame = message_frame(view(bytes, n));
            }
            auto buffer = std::make_unique<Buffer>();
            buffer->table = &table;
            buffer->plain = table.make(server.real_, type, bytes, n);
            if (buffer->plain == nullptr) return nullptr;
            buffer->framed = nullptr;
            if (!frame.empty()) {
                buffer->framed = table.make(server.real_, type, frame.data(), frame.size());
                if (buffer->framed == nullptr) {
                    table.release(buffer->plain);
                    return nullptr;
                }
            }
            return reinterpret_cast<ws_buffer*>(buffer.release());
        } catch (...) {
            return nullptr;
        }
    }
    static void retain(ws_buffer* buffer) {
        if (buffer != nullptr) reinterpret_cast<Buffer*>(buffer)->references.fetch_add(1);
    }
    static void release(ws_buffer* buffer) {
        auto* both = reinterpret_cast<Buffer*>(buffer);
        if (both == nullptr || both->references.fetch_sub(1) != 1) return;
        both->table->release(both->plain);
        if (both->framed != nullptr) both->table->release(both->framed);
        delete both;
    }
    static ws_result send_buffer(const ws_host* host, ws_conn conn, ws_buffer* buffer,
                                 std::uint32_t flags) {
        return guarded([&]() -> ws_result {
            if (buffer == nullptr) return WS_BAD_ARG;
            const FramingHost& server = of(host);
            const auto* both = reinterpret_cast<const Buffer*>(buffer);
            const auto session = server.sessions_.find(conn);
            if (session == nullptr) {
                return server.tables_.buffer->send(server.real_, conn, both->plain, flags);
            }
            if (!session->open || session->closing) return WS_GONE;
            return both->framed != nullptr
                       ? server.tables_.buffer->send(server.real_, conn, both->framed, flags)
                       : WS_BAD_ARG;
        });
    }

    /// A frame is whole in memory.
    static ws_result send_part(const ws_host* host, ws_conn conn, std::uint32_t type,
                               std::uint32_t part, const void* bytes, std::uint64_t n) {
        return guarded([&]() -> ws_result {
            constexpr std::size_t kMost = std::size_t{64} << 20;
            const FramingHost& server = of(host);
            const auto session = server.sessions_.find(conn);
            if (session == nullptr) {
                return server.tables_.stream->send(server.real_, conn, type, part, bytes, n);
            }
            if (!session->open || session->closing) return WS_GONE;
            if (type != WS_TEXT || (bytes == nullptr && n > 0)) return WS_BAD_ARG;
            const std::lock_guard lock(session->stream_mutex);
            if (((part & WS_FIRST) != 0) == session->streaming) return WS_BAD_ARG;
            if (n > kMost - session->stream.size()) return WS_TOO_BIG;
            const std::size_t before = session->stream.size();
            session->stream.append(view(bytes, n));
            if ((part & WS_LAST) != 0) {
                const ws_result result =
                    send(host, conn, type, session->stream.data(), session->stream.size(), 0);
                if (result < WS_OK) {
                    session->stream.resize(before);  // the part is to be sent again
                    return result;
                }
                session->stream = {};
                session->streaming = false;
                return result;
            }
            session->streaming = true;
            return WS_OK;
        });
    }

    static ws_result pause(const ws_host* host, ws_conn conn) {
        const FramingHost& server = of(host);
        if (const auto session = server.sessions_.find(conn)) session->paused = true;
        return server.tables_.flow->pause(server.real_, conn);
    }
    static ws_result resume(const ws_host* host, ws_conn conn) {
        return guarded([&]() -> ws_result {
            FramingHost& server = of(host);
            const auto session = server.sessions_.find(conn);
            if (session == nullptr) return server.tables_.flow->resume(server.real_, conn);
            session->paused = false;
            // What is left of a frame comes before what is read then.
            auto resumed = std::make_unique<Resumed>(Resumed{&server, session});
            const ws_result result = server.tables_.post->post(server.real_, conn, Resumed::run,
                                                               Resumed::done, resumed.get());
            if (result >= WS_OK) static_cast<void>(resumed.release());
            return result;
        });
    }
    /// A connection that is read from again.
    struct Resumed {
        FramingHost* server;
        std::shared_ptr<Session> session;

        static void run(void* data) {
            const auto& self = *static_cast<Resumed*>(data);
            self.session->deliver_waiting();
            if (!self.session->paused) {
                self.server->tables_.flow->resume(self.server->real_, self.session->conn);
            }
        }
        static void done(void* data) { delete static_cast<Resumed*>(data); }
    };

    /// Whether the server is not older than subscribers() and stand_for().
    static bool counts(const ws_topic_1& real) noexcept { return real.size >= sizeof(ws_topic_1); }

    static const void* extension(const ws_host* host, const char* name) {
        const FramingHost& server = of(host);
        const std::string_view wanted = name != nullptr ? name : "";
        static constexpr ws_timer_1 kTimer{
            sizeof(ws_timer_1), 0,
            [](const ws_host* h, ws_conn conn, std::uint64_t delay, std::uint64_t period,
               ws_call run, ws_call done, void* data, std::uint64_t* timer) {
                return of(h).tables_.timer->start(real_of(h), conn, delay, period, run, done, data,
                                                  timer);
            },
            [](const ws_host* h, std::uint64_t timer) {
                of(h).tables_.timer->cancel(real_of(h), timer);
            }};
        static constexpr ws_post_1 kPost{
            sizeof(ws_post_1), 0,
            [](const ws_host* h, ws_conn conn, ws_call run, ws_call done, void* data) {
                return of(h).tables_.post->post(real_of(h), conn, run, done, data);
            }};
        static constexpr ws_io_1 kIo{
            sizeof(ws_io_1), 0,
            [](const ws_host* h, ws_conn conn, std::int32_t descriptor, std::uint32_t events,
               void (*run)(void*, std::uint32_t), ws_call done, void* data, std::uint64_t* watch) {
                return of(h).tables_.io->watch(real_of(h), conn, descriptor, events, run, done,
                                               data, watch);
            },
            [](const ws_host* h, std::uint64_t watch, std::uint32_t events) {
                of(h).tables_.io->change(real_of(h), watch, events);
            },
            [](const ws_host* h, std::uint64_t watch) {
                of(h).tables_.io->unwatch(real_of(h), watch);
            }};
        static constexpr ws_buffer_1 kBuffer{sizeof(ws_buffer_1), 0, make, retain, release,
                                             send_buffer};
        static constexpr ws_stream_1 kStream{sizeof(ws_stream_1), 0, send_part};
        static constexpr ws_flow_1 kFlow{sizeof(ws_flow_1), 0, pause, resume};
        static constexpr ws_topic_1 kTopic{
            sizeof(ws_topic_1),
            0,
            subscribe,
            unsubscribe,
            publish,
            [](const ws_host* h, const void* topic, std::uint64_t n, ws_topic_message message,
               ws_call done, void* data, std::uint64_t* listener) {
                return of(h).tables_.topic->listen(real_of(h), topic, n, message, done, data,
                                                   listener);
            },
            [](const ws_host* h, std::uint64_t listener) {
                of(h).tables_.topic->ignore(real_of(h), listener);
            },
            [](const ws_host* h, const void* topic, std::uint64_t n) -> std::uint64_t {
                const ws_topic_1& real = *of(h).tables_.topic;
                if (!counts(real)) return 0;
                const std::string framed = framed_topic(topic, n);
                return real.subscribers(real_of(h), topic, n) +
                       real.subscribers(real_of(h), framed.data(), framed.size());
            },
            [](const ws_host* h, std::uint64_t listener, std::uint32_t subscribers) {
                if (counts(*of(h).tables_.topic)) {
                    of(h).tables_.topic->stand_for(real_of(h), listener, subscribers);
                }
            }};
        static constexpr ws_leader_1 kLeader{
            sizeof(ws_leader_1), 0,
            [](const ws_host* h, const void* led, std::uint64_t n) {
                return of(h).tables_.leader->lead(real_of(h), led, n);
            },
            [](const ws_host* h, const void* led, std::uint64_t n) {
                of(h).tables_.leader->resign(real_of(h), led, n);
            }};
        static constexpr ws_drain_1 kDrain{
            sizeof(ws_drain_1), 0,
            [](const ws_host* h) { return of(h).tables_.drain->hold(real_of(h)); },
            [](const ws_host* h) { of(h).tables_.drain->release(real_of(h)); }};
        if (wanted == WS_TIMER_1 && server.tables_.timer != nullptr) return &kTimer;
        if (wanted == WS_POST_1 && server.tables_.post != nullptr) return &kPost;
        if (wanted == WS_IO_1 && server.tables_.io != nullptr) return &kIo;
        if (wanted == WS_BUFFER_1 && server.tables_.buffer != nullptr) return &kBuffer;
        if (wanted == WS_STREAM_1 && server.tables_.stream != nullptr) return &kStream;
        if (wanted == WS_FLOW_1 && server.tables_.flow != nullptr) return &kFlow;
        if (wanted == WS_METRICS_1 && server.tables_.metrics != nullptr)
            return &server.own_metrics_;
        if (wanted == WS_TOPIC_1 && server.tables_.topic != nullptr) return &kTopic;
        if (wanted == WS_LEADER_1 && server.tables_.leader != nullptr) return &kLeader;
        if (wanted == WS_DRAIN_1 && server.tables_.drain != nullptr) return &kDrain;
        if (wanted == WS_REQUEST_1) return server.tables_.request;
        if (wanted == WS_HTTP_1) return server.tables_.http;
        return nullptr;  // one that this header does not know cannot be passed on
    }
    static ws_metric* metric(const ws_host* host, const char* name, std::uint64_t n,
                             std::uint32_t kind) {
        return of(host).tables_.metrics->metric(real_of(host), name, n, kind);
    }

    Table table_;
    const ws_host* real_;
    const websocket::detail::ExtensionTables tables_;
    Sessions sessions_;
    ws_metrics_1 own_metrics_{};
};

}  // namespace websocket::sockjs
