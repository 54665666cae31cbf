// SPDX-License-Identifier: Apache-2.0
// The server of a service: its methods, its sessions, what it is told. Part of websocket/jsonrpc.hpp.
#pragma once

#include <sys/random.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <typeinfo>
#include <unordered_map>
#include <utility>
#include <vector>

#include <cxxabi.h>

#include "methods.hpp"
#include "reader.hpp"
#include "siblings.hpp"

namespace websocket::jsonrpc {

namespace detail {

/// Of lines that clients can cause as often as they like: one a second. [any thread]
class LineLimit {
public:
    /// Nothing: no line now. Else the line's end, which tells of those that were left out.
    [[nodiscard]] std::optional<std::string> pass() {
        const std::int64_t now = std::chrono::duration_cast<std::chrono::seconds>(
                                     std::chrono::steady_clock::now().time_since_epoch())
                                     .count();
        if (logged_at_.exchange(now) == now) {
            ++left_out_;
            return {};
        }
        const std::uint64_t more = left_out_.exchange(0);
        return more > 0 ? "; " + std::to_string(more) + " more before it" : std::string();
    }

private:
    std::atomic<std::int64_t> logged_at_{-1};  ///< in seconds
    std::atomic<std::uint64_t> left_out_{0};
};

}  // namespace detail

/// A connection, on its own thread.
struct Peer {
    std::shared_ptr<detail::AnswerQueue> answers;
    std::shared_ptr<detail::SessionState> session;
    std::string user;
    Timer watchdog;
    std::int64_t ping_interval = 0;  ///< ms, as it has said; 0: it does not ping
    bool asking = false;             ///< other processes whether they have its session
    bool paused = false;             ///< nothing is read
};

/// Made before the service's constructor runs, which registers methods and events; lives as long as the service.
class Server final : private detail::SessionHost {
public:
    using OnSession = std::function<void(Session)>;
    using OnClosed = std::function<void(Session, End, std::string_view reason)>;
    using OnTrouble = std::function<void(Session, std::string_view what)>;

    Server(const websocket::Server& server, const Options& options, std::string_view service,
           bool never_blocks)
        : SessionHost(server, Settings(options, service)), reader_(settings.read),
          siblings_(server, settings.sessions, settings.takeover), gauge_(server.gauge("sessions")),
          requests_(server.counter("requests")), errors_(server.counter("errors")),
          workers_(never_blocks ? 0 : settings.threads) {}
    ~Server() { stop(); }

    // ---- for the service's constructor

    /// A method whose params come by position, or by these names. The function may take a Transaction or a
    /// Session in front of them; a Params alone gets them all. What it returns is the result. One that takes
    /// a Transaction and returns nothing answers by itself. What can be left out is a std::optional.
    template <std::size_t N, class F>
    void method(std::string_view name, const char* const (&params)[N], F function) {
        static_assert(detail::parameter_count<F> == N,
                      "websocket jsonrpc: there have to be as many names as the function has "
                      "parameters, without a Transaction or Session in front");
        add(name, detail::make_method(std::move(function),
                                      detail::Names(std::begin(params), std::end(params))));
    }
    /// A method whose params come by position only.
    template <class F>
    void method(std::string_view name, F function) {
        add(name, detail::make_method(std::move(function), {}));
    }
    /// Gets all requests and notifications for which there is no method.
    void handle_others(std::function<void(const Transaction&)> handler) {
        others_ = std::move(handler);
    }

    // Events run as methods do: those of one session one after the other, with its requests.
    void on_connected(OnSession event) { on_connected_ = std::move(event); }
    /// Its client is back, here or from another process.
    void on_reconnected(OnSession event) { on_reconnected_ = std::move(event); }
    /// Last event of a session in this process.
    void on_closed(OnClosed event) { on_closed_ = std::move(event); }
    /// A connection ended without a Close.
    void on_transport_error(OnTrouble event) { on_transport_error_ = std::move(event); }
    /// What a method or an event has thrown, but for Error. Without it, it is logged.
    void on_exception(OnTrouble event) { on_exception_ = std::move(event); }

    // ---- [any thread]

    [[nodiscard]] const websocket::Server& host() const noexcept { return SessionHost::host; }
    [[nodiscard]] const Settings& options() const noexcept { return settings; }
    /// A session of this process.
    [[nodiscard]] std::optional<Session> find(const std::string& id) const {
        const std::shared_ptr<detail::SessionState> found = lookup(id);
        return found && !found->is_copy() ? std::optional(Session(found)) : std::nullopt;
    }
    /// Those of this process at the moment.
    [[nodiscard]] std::vector<Session> sessions() const {
        std::vector<Session> all;
        for (const auto& one : snapshot()) {
            if (!one->is_copy()) all.emplace_back(one);
        }
        return all;
    }
    /// A notification to all sessions, of all processes, that have subscribed to a topic.
    Result publish(std::string_view topic, std::string_view method,
                   const Value& params = {}) const {
        return host().publish(topic, texts.call({}, method, params));
    }
    /// A line of the error log, behind the label.
    void log(std::uint32_t level, std::string_view text) const {
        const std::string line = settings.label.empty()
                                     ? std::string(text)
                                     : "[" + settings.label + "] " + std::string(text);
        host().host()->log(host().host(), level, line.data(), line.size());
    }

    // ---- what the plugin calls; see plugin.hpp

    void start() {
        siblings_.listen({[this](const std::string& id, const std::string& user,
                                 const std::string& asker) { give(id, user, asker); },
                          [this](const std::string& id, const Value& packed) {
                              return !draining_ && adopt(id, packed) != nullptr;
                          },
                          [this](std::string_view id) {
                              const State copy = lookup(id);
                              if (copy && copy->is_copy()) end_session(copy, End::moved, "");
                          }});
    }
    /// Nothing runs any more when it returns.
    void stop();
    void opened(Connection connection, Peer& peer) const {
        peer.answers = std::make_shared<detail::AnswerQueue>(connection, settings.in_flight_size);
    }
    void message(Connection connection, const Message& message, Peer& peer) {
        take(connection, message, peer);
        pace(connection, peer);
    }
    void writable(Connection connection, Peer& peer) {
        peer.answers->writable();
        if (peer.session) peer.session->go_on(workers_);
        pace(connection, peer);
    }
    void closed(Connection connection, const Close& close, Peer& peer);
    /// From now on, sessions that lose their client go to other processes.
    void drain();

private:
    using State = std::shared_ptr<detail::SessionState>;
    using Batch = std::shared_ptr<detail::BatchAnswers>;

    void add(std::string_view name, detail::Method method) {
        if (is_special(name)) {
            throw std::logic_error("jsonrpc: the method \"" + std::string(name) +
                                   "\" is the server's own");
        }
        if (!methods_.emplace(name, std::move(method)).second) {
            throw std::logic_error("jsonrpc: there are two methods \"" + std::string(name) + "\"");
        }
    }
    [[nodiscard]] bool kurento() const noexcept { return settings.dialect == Dialect::kurento; }
    [[nodiscard]] bool is_special(std::string_view name) const noexcept {
        return name == "ping" || name == "connect" || name == "closeSession" || name == "poll" ||
               (name == "reconnect" && !kurento());
    }

    // ---- messages: server_messages.hpp
    void take(Connection connection, const Message& message, Peer& peer);
    void receive(Connection connection, Incoming incoming, Peer& peer, const Batch& batch);
    void take_answer(Reply answer, const Peer& peer) const;
    void special(Connection connection, const Call& call, Peer& peer, const Batch& batch);
    void ping(Connection connection, const Call& call, Peer& peer, const Batch& batch);
    void connect(Connection connection, const Call& call, Peer& peer);
    static void watch(Connection connection, Peer& peer, std::int64_t interval);
    void dispatch_by_id(Connection connection, Call call, Peer& peer);
    void dispatch(Connection connection, Call call, Peer& peer, const State& given,
                  const Batch& batch);
    void handle(const std::shared_ptr<detail::TransactionState>& state,
                const detail::Method* method) const;
    void reject(const Value& id, const Error& error, const Peer& peer, const Batch& batch) const;
    void refuse(const Call& call, const Error& error, const Peer& peer, const Batch& batch) const;
    static void reply(const Call& call, const std::string& text, const Peer& peer,
                      const Batch& batch);
    static void send(const std::string& text, const Peer& peer, const Batch& batch);
    /// Nothing is read while other processes are asked, nor from a client that does not read its answers.
    static void pace(Connection connection, Peer& peer) {
        const bool pause = peer.asking || peer.answers->slow();
        if (std::exchange(peer.paused, pause) == pause) return;
        pause ? connection.pause() : connection.resume();
    }

    // ---- sessions: server_sessions.hpp
    [[nodiscard]] State lookup(std::string_view id) const {
        const std::lock_guard lock(mutex_);
        const auto found = table_.find(std::string(id));
        return found != table_.end() ? found->second : nullptr;
    }
    [[nodiscard]] std::vector<State> snapshot() const {
        const std::lock_guard lock(mutex_);
        std::vector<State> all;
        all.reserve(table_.size());
        for (const auto& [id, one] : table_) all.push_back(one);
        return all;
    }
    /// Of this id; null when there are too many.
    State begin(const std::string& id, const std::string& user);
    State open(Connection connection, Peer& peer);
    bool bind(Connection connection, Peer& peer, const State& session);
    void lose(Connection connection, const State& session, const std::string& why);
    /// Calls `then` on the connection's thread, with the session or null: at once when it is here, else when
    /// other processes have been asked. Nothing is read from the client meanwhile.
    template <class Then>
    void seek(const std::string& id, Connection connection, Peer& peer, Then then);
    State adopt(const std::string& id, const Value& packed);
    void give(const std::string& id, const std::string& user, const std::string& asker);
    void hand_over(const State& session);
    bool end_session(const State& session, End why, std::string_view reason) override;
    void run_in(const State& session, std::function<void()> task) override;
    bool make_room(std::size_t bytes, const detail::SessionState& asking) override;
    /// Ends the one that has waited longest for its client, but not this one. False: nobody waits.
    bool end_longest_waiting(const detail::SessionState* but);
    void note_waiting(const State& session);
    void forget_waiting(detail::SessionState& session) noexcept;
    void tell_reconnected(const State& session);
    std::string trouble(const State& session, const std::string& where) const;

    const Reader reader_;
    detail::Siblings siblings_;
    const Metric gauge_;
    const Metric requests_;
    const Metric errors_;
    std::unordered_map<std::string, detail::Method> methods_;  // not changed once there are clients
    std::function<void(const Transaction&)> others_;
    OnSession on_connected_;
    OnSession on_reconnected_;
    OnClosed on_closed_;
    OnTrouble on_transport_error_;
    OnTrouble on_exception_;
    std::atomic<bool> draining_{false};
    mutable detail::LineLimit exceptions_;
    mutable detail::LineLimit unanswered_;

    mutable std::mutex mutex_;  // guards the three below, and SessionState::place
    std::unordered_map<std::string, State> table_;
    std::map<std::uint64_t, State> waiting_;  // for their clients, by place
    std::uint64_t last_place_ = 0;

    detail::Workers workers_;  // last: its threads use the others
};

}  // namespace websocket::jsonrpc

#include "server_messages.hpp"
#include "server_sessions.hpp"
