// SPDX-License-Identifier: Apache-2.0
// Does what the client tells it to, one command a message: all that a plugin of version 1 can ask the
// server for. v1_loop_init runs on the loops, v1_pool_init in the pool.
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <string>
#include <websocket/plugin.hpp>

namespace {

using namespace std::chrono_literals;
using websocket::Connection;
using websocket::Message;
using websocket::Result;

/// Takes the next word of a command.
std::string_view word(std::string_view& rest) {
    const std::string_view first = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(rest.size(), first.size() + 1));
    return first;
}

int number(std::string_view& rest) { return std::atoi(std::string(word(rest)).c_str()); }

/// Sets what is none or belongs to the handshake, too, and says in X-Wrong how much was not taken.
void set_careless_headers(websocket::Upgrade& upgrade) {
    constexpr std::pair<std::string_view, std::string_view> kHeaders[] = {
        {"X-Good", " a\t\xC3\xBC "},
        {"X-Empty", ""},
        {"", "x"},
        {"X-Space In", "x"},
        {"X-Colon: y\r\nX-Injected", "x"},
        {"X-C: d", "x"},
        {"X-\xC3\xBC", "x"},
        {{"X-Nul\0", 6}, "x"},
        {"X-Value", {"x\0", 2}},
        {"X-Line", "x\r\nX-Injected: x"},
        {"X-Feed", "x\nX-Injected: x"},
        {"X-Return", "x\rX-Injected: x"},
        {"X-Delete", "\x7F"},
        {"sec-websocket-accept", "x"},
        {"Sec-WebSocket-Accept: x", "x"},
        {"Sec-WebSocket-Protocol", "b"},
        {"Sec-WebSocket-Anything", "x"},
        {"UPGRADE", "h2c"},
        {"connection", "keep-alive"},
        {"Keep-Alive", "timeout=5"},
        {"Content-Length", "5"},
        {"Transfer-Encoding", "chunked"},
    };
    int wrong = 0;
    for (const auto& [name, value] : kHeaders) wrong += upgrade.set_header(name, value) ? 0 : 1;
    upgrade.choose_subprotocol("b");
    for (const std::string_view name : {"never offered", "B", "b, a", "", "b\r\nX-Injected: x"}) {
        if (upgrade.choose_subprotocol(name)) throw std::logic_error("no such subprotocol");
    }
    upgrade.set_header("X-Wrong", std::to_string(wrong));
}

template <bool kNeverBlocks>
struct Probe {
    static constexpr const char* name = kNeverBlocks ? "v1_loop" : "v1_pool";
    static constexpr const char* version = "7";
    static constexpr bool never_blocks = kNeverBlocks;
    static constexpr bool keep_request = true;

    struct Client {
        Client() { ++alive; }
        ~Client() { --alive; }
        Client(const Client&) = delete;
        Client& operator=(const Client&) = delete;

        static inline std::atomic<int> alive{0};
        std::optional<websocket::Request> request;
        websocket::Timer timer;
        websocket::Watch watch;
        std::optional<websocket::OutgoingMessage> stream;
        int left = 0;
        bool wants_room = false;
    };

    Probe(const websocket::Server& host, const websocket::Options& options)
        : server(host), greeting(options.text("greeting")) {
        if (options.has("fail")) {
            throw websocket::OptionError("told to fail");
        }
        server.info("started " + std::to_string(options.number("limit", 5, 1, 10)));
        ticks = server.every(20ms, [this] { ++ticked; });
    }
    ~Probe() { server.info("stopped with " + std::to_string(Client::alive) + " clients"); }

    static void check(const websocket::Options& options) {
        options.allow_only({"greeting", "limit", "fail"});
        static_cast<void>(options.number("limit", 5, 1, 10));
    }

    void on_upgrade(websocket::Upgrade& upgrade, Client& client) {
        const std::string_view query = upgrade.query();
        client.request = upgrade;
        upgrade.set_header("X-Probe", "yes");
        if (upgrade.set_header("Sec-WebSocket-Accept", "no") || upgrade.set_header("A", "b\nc")) {
            throw std::logic_error("headers that must not be set");
        }
        if (query == "teapot") return upgrade.refuse(418, "short and stout");
        if (query.starts_with("headers")) {
            set_careless_headers(upgrade);
            if (query == "headers-body") upgrade.refuse(402, "pay");
            if (query == "headers-page") upgrade.refuse(402);
            return;
        }
        if (query == "page") {
            upgrade.set_header("WWW-Authenticate", "Basic realm=\"x\"");
            return upgrade.refuse(401);
        }
        if (upgrade.parameter("text")) {
            upgrade.set_header("X-Text", upgrade.parameter_text("text").value_or(""));
        }
        if (query == "throw") throw std::runtime_error("told to throw");
        if (query == "nonsense") return upgrade.refuse(99);
        if (upgrade.subprotocol_count() > 1) {
            upgrade.choose_subprotocol("not offered");
            upgrade.choose_subprotocol(upgrade.subprotocol(1));
        }
    }
    void on_open(Connection client, Client&) {
        if (!greeting.empty()) client.send(greeting);
    }
    void on_pong(Connection client, websocket::Bytes payload, Client&) {
        client.send("pong " + std::string(websocket::text_of(payload)));
    }
    void on_writable(Connection client, Client& state) {
        if (std::exchange(state.wants_room, false)) client.send("writable");
    }
    void on_close(Connection client, const websocket::Close& close, Client&) {
        server.info("closed " + std::to_string(close.code) + " \"" + std::string(close.reason) +
                    "\" by " + (close.by_peer ? "peer" : "server") +
                    (close.clean ? " clean" : " unclean") + " then " +
                    std::to_string(static_cast<int>(client.send("too late"))));
    }
    void on_drain(std::chrono::milliseconds left) {
        server.info("drains for " + std::to_string(left.count()) + " ms");
    }
    void on_message(Connection client, Message message, Client& state) {
        std::string_view rest = message.text();
        const std::string_view command = word(rest);
        if (command == "echo") {
            client.send(rest);
        } else if (command == "about") {
            about(client, *state.request, rest);
        } else if (command == "after") {
            const auto delay = std::chrono::milliseconds(number(rest));
            state.timer =
                client.after(delay, [client, text = std::string(rest)] { client.send(text); });
        } else if (command == "every") {
            const auto period = std::chrono::milliseconds(number(rest));
            state.left = number(rest);
            state.timer = client.every(period, [client, &state] {
                client.send("left " + std::to_string(--state.left));
                if (state.left == 0) state.timer.cancel();
            });
        } else if (command == "post") {
            client.post([client, text = std::string(rest)] { client.send(text); });
            client.send("posted");
        } else if (command == "watch") {
            watch(client, state);
        } else if (command == "fill") {
            fill(client, state);
        } else if (command == "stream") {
            stream(client, state, rest);
        } else if (command == "pause") {
            const auto delay = std::chrono::milliseconds(number(rest));
            client.pause();
            client
                .after(delay,
                       [client] {
                           client.send("resumed");
                           client.resume();
                       })
                .detach();
        } else if (command == "prepared") {
            const websocket::Prepared twice = server.prepare(rest);
            client.send(twice);
            client.send(websocket::Prepared(twice));
        } else if (command == "plain") {
            client.send_uncompressed(websocket::Type::text, websocket::bytes_of(rest));
            client.send_uncompressed(server.prepare(rest));
        } else if (command == "ticked") {
            wait_for_tick(client);
        } else if (command == "metric") {
            server.counter("commands").add();
            client.send("counted");
        } else if (command == "count") {
            const int amount = number(rest);
            server.counter("counted").add(amount);
            server.gauge("held").add(amount);
            client.send(std::to_string(::getpid()));
        } else if (command == "ping") {
            client.ping(rest);
        } else if (command == "close") {
            const auto code = static_cast<std::uint16_t>(number(rest));
            const Result first = client.close(code, rest);
            client.close(1000);
            if (!taken(first)) client.send("refused " + std::to_string(static_cast<int>(first)));
        } else if (command == "bad") {
            bad(client);
        } else if (command == "throw") {
            throw std::runtime_error("told to throw");
        } else if (command == "subscribe") {
            client.subscribe(rest);
            client.send("subscribed");
        } else if (command == "publish") {
            const std::string_view topic = word(rest);
            server.publish(topic, rest);
        } else {
            client.send("unknown command");
        }
    }

    void wait_for_tick(Connection client) {
        if (ticked > 0) {
            client.send("ticked");
        } else {
            client.post([this, client] { wait_for_tick(client); });
        }
    }
    static void about(Connection client, const websocket::Request& request, std::string_view what) {
        const std::string_view kind = word(what);
        if (kind == "header") client.send(request.header(what));
        if (kind == "env") client.send(request.environment(what));
        if (kind == "path") client.send(request.path());
        if (kind == "target") client.send(request.target());
        if (kind == "user") client.send(request.user());
        if (kind == "client") client.send(request.client());
        if (kind == "port") client.send(std::to_string(request.client_port()));
        if (kind == "parameter") client.send(request.parameter(what).value_or("(none)"));
    }
    void watch(Connection client, Client& state) const {
        const int fd = ::eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
        state.watch = client.watch(fd, WS_READABLE, [client, &state, fd](std::uint32_t events) {
            std::uint64_t value = 0;
            client.send(events == WS_READABLE && ::read(fd, &value, sizeof value) == sizeof value
                            ? "readable"
                            : "not readable");
            state.watch.cancel();
            ::close(fd);
        });
    }
    static void fill(Connection client, Client& state) {
        state.wants_room = true;
        const std::string block(10'000, 'x');
        int count = 0;
        bool queued = false;
        Result result{};
        while (taken(result = client.send(block))) {
            queued = queued || result == Result::queued;
            ++count;
        }
        client.server().info(std::string("filled: ") + (queued ? "queued" : "not queued") +
                             ", then " + std::to_string(static_cast<int>(result)) + " with " +
                             std::to_string(client.queued()));
        static_cast<void>(count);
    }
    static void stream(Connection client, Client& state, std::string_view rest) {
        if (!state.stream) state.stream.emplace(client.stream(websocket::Type::text));
        const std::string_view what = word(rest);
        if (what == "more") state.stream->write(rest);
        if (what == "end") {
            state.stream->finish(websocket::bytes_of(rest));
            state.stream.reset();
        }
    }
    static void bad(Connection client) {
        const ws_host* host = client.server().host();
        const ws_conn id = client.id();
        std::string answers;
        const auto note = [&](ws_result result) { answers += std::to_string(result) + " "; };
        note(host->send(host, id, 77, "x", 1, 0));
        note(host->send(host, id, WS_TEXT, nullptr, 1, 0));
        note(host->send(host, id, WS_TEXT, "x", 1, 8));
        note(host->send(host, id, WS_PING, std::string(126, 'x').data(), 126, 0));
        note(host->send(host, id, WS_BINARY, "x", std::uint64_t{1} << 40, 0));
        note(host->send(host, 0, WS_TEXT, "x", 1, 0));
        note(host->send(host, ~std::uint64_t{0}, WS_TEXT, "x", 1, 0));
        note(host->send(nullptr, id, WS_TEXT, "x", 1, 0));
        note(host->close(host, id, 1005, nullptr, 0));
        note(host->close(host, id, 70'000, nullptr, 0));
        note(host->close(host, id, 1000, "\xff", 1));
        note(host->send(host, id, WS_TEXT, "\xff", 1, 0));
        note(host->extension(host, "ws.timer/99") == nullptr ? 1 : 0);
        note(host->extension(host, nullptr) == nullptr ? 1 : 0);
        client.send(answers);
    }

    const websocket::Server& server;
    const std::string greeting;
    std::atomic<int> ticked{0};
    websocket::Timer ticks;
};

/// Counts what it gets of a message that it never has in memory.
struct Counter {
    static constexpr bool never_blocks = true;
    struct Client {
        std::uint64_t bytes = 0;
        std::uint64_t parts = 0;
    };
    void on_fragment(Connection client, websocket::Fragment fragment, Client& state) {
        if (fragment.first) state = {};
        state.bytes += fragment.bytes.size();
        ++state.parts;
        if (fragment.last) {
            client.send(std::to_string(state.bytes) + (state.parts > 1 ? " in parts" : " at once"));
        }
    }
};

struct PoolCounter : Counter {
    static constexpr bool never_blocks = false;
};

using LoopProbe = Probe<true>;
using PoolProbe = Probe<false>;

}  // namespace

WEBSOCKET_PLUGIN(v1_loop_init, LoopProbe)
WEBSOCKET_PLUGIN(v1_pool_init, PoolProbe)
WEBSOCKET_PLUGIN(v1_counter_init, Counter)
WEBSOCKET_PLUGIN(v1_pool_counter_init, PoolCounter)
