// SPDX-License-Identifier: Apache-2.0
//
// A server in memory, so that a plugin's author can test it without httpd: no sockets, no threads, and
// a clock that moves when the test says so.
//
//     #include <websocket/testing.hpp>
//
//     websocket::testing::Host host(*echo_init(), {{"limit", "5"}});
//     auto client = host.connect("/echo?name=alice");
//     client->text("hello");
//     assert(client->received().back().payload == "hello");
//     assert(host.answer({.method = "POST", .body = "x"}).status == 405);
//     host.advance(std::chrono::seconds(1));      // timers run here
//
// One thread. Callbacks run in the call that provokes them, so everything has happened when that
// returns; posted functions run at the end of it.
#pragma once

#if !defined(__cpp_concepts) || __cpp_concepts < 201907L
#error "websocket/testing.hpp needs C++20: compile with -std=c++20 or later"
#else

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <deque>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ext/draft/event_stream.h"
#include "ext/draft/gap.h"
#include "ext/draft/history.h"
#include "ext/draft/presence.h"
#include "extensions.h"
#include "plugin.h"
#include "utf8.hpp"

namespace websocket::testing {

using Milliseconds = std::chrono::milliseconds;
using Pairs = std::vector<std::pair<std::string, std::string>>;

/// What the plugin has sent to a client.
struct Sent {
    std::uint32_t type;  ///< WS_TEXT and so on
    std::string payload;
    std::optional<std::string> event = {};  ///< with websocket/event_stream.hpp: its type
    std::optional<std::string> id = {};     ///< the same: its id
};

/// Who asks for a connection.
struct Handshake {
    std::string target = "/";
    Pairs headers = {};
    std::vector<std::string> subprotocols = {};
    std::string user = {};
    std::string client = "127.0.0.1";
    Pairs environment = {};
    std::string section = "/";  ///< the <Location>: what lies behind it is below()
};

/// A request that is no handshake.
struct Request {
    std::string method = "GET";
    std::string target = "/";
    Pairs headers = {};
    std::string body = {};
    std::string user = {};
    std::string client = "127.0.0.1";
    Pairs environment = {};
    std::string section = "/";
    std::size_t max_body = std::size_t{1} << 20;  ///< WebSocketMaxRequestBody
    bool trusted_origin = true;                   ///< what trusts_origin() says
    bool open = false;                            ///< what is_open() says
};

/// What the server has, besides the options of the plugin.
struct Setup {
    /// WebSocketHistory: topics, and how many messages of each are kept. A "*" at the end is any rest of a name. Without
    /// any, the server has no history.
    std::vector<std::pair<std::string, std::size_t>> histories = {};
    bool presence = true;
    bool gaps = true;
};

/// What the plugin answered.
struct Answer {
    std::uint32_t status = 101;
    Pairs headers = {};
    std::string type = {};
    std::string body = {};
};

class Host;

namespace detail {

/// What a ws_request stands for.
struct Exchange {
    Host* host;
    Handshake request;
    std::optional<Request> http = {};  ///< none: a handshake
    bool answering = false;            ///< the plugin's callback runs
    bool stream = false;               ///< to be answered with an event stream
    Answer answer = {};
};

}  // namespace detail

/// One connection. Valid as long as the Host.
class Client {
public:
    [[nodiscard]] ws_conn id() const noexcept { return id_; }
    [[nodiscard]] bool open() const noexcept { return open_; }
    [[nodiscard]] const Answer& answer() const noexcept { return exchange_.answer; }
    /// Whether the plugin has accepted it as an event stream, which may have been refused all the same.
    [[nodiscard]] bool stream() const noexcept { return exchange_.stream; }
    [[nodiscard]] const std::vector<Sent>& received() const noexcept { return received_; }
    /// The text messages that came since the last call.
    [[nodiscard]] std::vector<std::string> texts() {
        std::vector<std::string> result;
        for (; seen_ < received_.size(); ++seen_) {
            if (received_[seen_].type == WS_TEXT) result.push_back(received_[seen_].payload);
        }
        return result;
    }
    /// The code that the plugin closed with; nothing when it has not.
    [[nodiscard]] std::optional<std::uint32_t> closed_with() const noexcept { return close_code_; }
    [[nodiscard]] const std::string& close_reason() const noexcept { return close_reason_; }
    [[nodiscard]] bool paused() const noexcept { return paused_; }

    void text(std::string_view payload) { message(WS_TEXT, payload); }
    void binary(std::string_view payload) { message(WS_BINARY, payload); }
    void message(std::uint32_t type, std::string_view payload);
    void pong(std::string_view payload);
    /// The client's Close.
    void close(std::uint32_t code = 1000, std::string_view reason = {});
    /// The network's end: no Close.
    void vanish();
    /// Takes nothing more from now on: sends are WS_FULL after `room` bytes. read() ends that.
    void stop_reading(std::size_t room = 0) noexcept { room_ = room; }
    void read();

private:
    friend class Host;
    Client(Host& host, ws_conn id, Handshake handshake)
        : host_(host), id_(id), exchange_{&host, std::move(handshake)} {}

    Host& host_;
    const ws_conn id_;
    detail::Exchange exchange_;
    void* state_ = nullptr;
    bool open_ = false;
    bool paused_ = false;
    bool wants_room_ = false;
    std::optional<std::size_t> room_;  ///< none: takes everything
    std::size_t waiting_ = 0;
    std::vector<Sent> received_;
    std::size_t seen_ = 0;
    std::optional<Sent> stream_;
    std::optional<std::uint32_t> close_code_;
    std::string close_reason_;
};

/// The server. Makes the plugin's instance, and stops it when destroyed.
class Host {
public:
    /// Throws std::runtime_error with the plugin's words when it does not like its options or does
    /// not start.
    explicit Host(const WebSocketPlugin& plugin, const Pairs& options = {}, Setup setup = {});
    ~Host();
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;

    /// A client whose answer() says whether it was accepted; if so, it is open.
    std::shared_ptr<Client> connect(Handshake handshake);
    std::shared_ptr<Client> connect(const std::string& target = "/") {
        Handshake handshake;
        handshake.target = target;
        return connect(std::move(handshake));
    }

    /// A client that asks for an event stream: of the answer() with 200 if it got one, and then it is open unless the
    /// method is HEAD. It only listens.
    std::shared_ptr<Client> listen(Request request);
    std::shared_ptr<Client> listen(const std::string& target = "/") {
        return listen(Request{.target = target, .headers = {{"Accept", "text/event-stream"}}});
    }

    /// What the plugin answers to a request that is no handshake: with 426 or 405, if it does not want any.
    Answer answer(Request request);

    /// Moves the clock; timers that are due run in their order.
    void advance(Milliseconds time);
    /// Polls watched descriptors once, without waiting.
    void poll();
    void drain(Milliseconds deadline) {
        if (plugin_.on_drain != nullptr) {
            plugin_.on_drain(self_, static_cast<std::uint64_t>(deadline.count()));
            settle();
        }
    }
    /// False: all that the plugin may lead, another process leads from now on.
    void lead(bool leads) noexcept { leads_ = leads; }
    /// Ends all connections, timers and watches, then the plugin.
    void stop();

    [[nodiscard]] const std::vector<std::string>& log() const noexcept { return log_; }
    [[nodiscard]] std::int64_t metric(const std::string& name) const {
        const auto found = metrics_.find(name);
        return found != metrics_.end() ? found->second : 0;
    }
    [[nodiscard]] const ws_plugin& plugin() const noexcept { return plugin_; }
    [[nodiscard]] const ws_host* abi() const noexcept { return &table_.abi; }
    /// For how many things it holds a drain at the moment.
    [[nodiscard]] std::uint32_t drain_holds() const noexcept { return drain_holds_; }
    /// How many clients subscribe to a topic, and those that listeners stand for.
    [[nodiscard]] std::uint64_t subscribers(std::string_view topic) const {
        const auto found = topics_.find(std::string(topic));
        std::uint64_t sum = found != topics_.end() ? found->second.size() : 0;
        for (const auto& [number, one] : listeners_) {
            if (one->topic == topic) sum += one->stands_for;
        }
        return sum;
    }
    /// Tells the plugin that messages may be missing: WS_GAP_RECONNECTED and so on, of a topic that somebody wants, or,
    /// without, of all.
    void gap(std::uint32_t why, const std::string& topic = {});
    /// The history of a topic begins anew: positions that were given are good for nothing.
    void forget(const std::string& topic);
    /// Somebody in another process is a member of a topic, and is not any more.
    void enter(const std::string& topic, const std::string& id, const std::string& info = {});
    void leave(const std::string& topic, const std::string& id);
    /// The members of a topic: id and info.
    [[nodiscard]] Pairs present(const std::string& topic) const;
    /// What the plugin did that it must not do.
    [[nodiscard]] const std::vector<std::string>& offences() const noexcept { return offences_; }

private:
    friend class Client;
    struct Table {
        ws_host abi;
        Host* host;
    };
    struct Call {
        ws_conn conn;
        ws_call run;
        void (*run_io)(void*, std::uint32_t);
        ws_call done;
        void* data;
        Milliseconds due;
        Milliseconds period;
        int descriptor;
        std::uint32_t events;
    };

    /// With one of the functions.
    struct TopicListener {
        std::string topic;  ///< empty: all
        ws_topic_message message = nullptr;
        ws_history_message remembered = nullptr;
        ws_gap gap = nullptr;
        ws_member member = nullptr;
        ws_call done = nullptr;
        void* data = nullptr;
        std::uint64_t stands_for = 0;
        bool ended = false;
        std::map<std::string, std::string> told = {};  ///< members

        [[nodiscard]] bool hears() const { return message != nullptr || remembered != nullptr; }
    };
    /// A call on its way to a listener.
    struct Heard {
        Host& host;
        std::uint64_t listener;
        std::function<void(TopicListener&)> call;

        static void run(void* heard);
        static void done(void* heard) { delete static_cast<Heard*>(heard); }
    };

    /// A topic with history. The last message has the position `offset`.
    struct Kept {
        std::uint64_t epoch = 0;
        std::uint64_t offset = 0;
        std::size_t most = 0;
        std::deque<Sent> messages = {};
    };
    struct Member {
        std::string info = {};
        std::set<ws_conn> connections = {};  ///< 0: of another process
    };

    static Host& of(const ws_host* host) noexcept {
        return *reinterpret_cast<const Table*>(host)->host;
    }
    static detail::Exchange& of(const ws_request* request);
    [[nodiscard]] bool holds(const ws_buffer& buffer);
    void count_buffers();
    Client* find(ws_conn conn) noexcept {
        const auto found = clients_.find(conn);
        return found != clients_.end() && found->second->open_ ? found->second.get() : nullptr;
    }
    void settle();
    void end(Client& client, std::uint32_t code, std::string_view reason, bool by_peer, bool clean);
    void finish(std::uint64_t number);
    void ignore(std::uint64_t listener);
    ws_result deliver(Client& client, Sent message);
    std::shared_ptr<Client> open(Handshake handshake, const detail::Exchange* stream);
    [[nodiscard]] detail::Exchange& ask(Request request, std::uint32_t& status);
    ws_result publish(const void* topic, std::uint64_t topic_size, ws_conn except,
                      const Sent& message, ws_position* position = nullptr);
    ws_result add_listener(TopicListener listener, std::uint64_t* number);
    void call_later(std::uint64_t listener, std::function<void(TopicListener&)> call);
    [[nodiscard]] bool is_wanted(const std::string& topic) const;
    [[nodiscard]] Kept* kept(const std::string& topic);
    static ws_position keep(Kept& topic, const Sent& message);
    [[nodiscard]] static bool is_complete(const Kept& topic, const ws_position& since);
    [[nodiscard]] static std::vector<std::pair<ws_position, Sent>>
    excerpt(const Kept& topic, std::uint64_t behind, std::uint64_t until);
    [[nodiscard]] static Sent with_position(Sent message, const ws_position& position);
    bool recover(Client& client, const Kept& topic, const ws_position& since);
    void join(ws_conn conn, const std::string& topic, const std::string& id,
              const std::string& info);
    void part(ws_conn conn, const std::string& topic, const std::string& id);
    void part_all(ws_conn conn);
    void look(const std::string& topic);
    [[nodiscard]] const void* draft(std::string_view name) const;
    [[nodiscard]] static const void* history_table();
    [[nodiscard]] static const void* presence_table();
    [[nodiscard]] static const void* gap_table();
    static const void* table(const ws_host* host, const char* name);

    const Setup setup_;
    ws_plugin plugin_{};
    Table table_{};
    Pairs option_texts_;
    std::vector<ws_option> options_;
    void* self_ = nullptr;
    bool started_ = false;
    std::map<ws_conn, std::shared_ptr<Client>> clients_;
    std::vector<std::unique_ptr<detail::Exchange>> exchanges_;  ///< as long as somebody may ask
    ws_conn next_client_ = (std::uint64_t{1} << 32) | 1;
    std::map<std::uint64_t, Call> calls_;
    std::uint64_t next_call_ = 1;
    std::deque<Call> posted_;
    bool settling_ = false;
    std::vector<Client*> closing_;
    Milliseconds now_{0};
    std::map<std::string, std::set<ws_conn>> topics_;
    std::map<std::uint64_t, std::shared_ptr<TopicListener>> listeners_;
    std::uint64_t hearing_ = 0;  ///< the listener that is being called
    std::map<std::string, Kept> kept_;
    std::uint64_t last_epoch_ = 0;
    std::map<std::string, std::map<std::string, Member>> members_;      ///< by topic and id
    std::map<ws_conn, std::map<std::string, std::string>> stands_for_;  ///< topics, and whom there
    bool leads_ = true;
    std::uint32_t drain_holds_ = 0;
    std::map<std::string, std::int64_t> metrics_;
    std::vector<std::unique_ptr<ws_buffer>> buffers_;
    std::vector<std::string> log_;
    std::vector<std::string> offences_;
};

}  // namespace websocket::testing

#include "testing_host.hpp"

#endif  // C++20
