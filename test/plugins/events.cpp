// SPDX-License-Identifier: Apache-2.0
// Event streams and WebSockets that get what others publish, by POST; what was misused, and how clients ended, GET
// tells.
#include <mutex>
#include <websocket/event_stream.hpp>
#include <websocket/plugin.hpp>
#include <websocket/utf8.hpp>

namespace {

using websocket::HttpRequest;
using websocket::HttpResponse;

class Events {
public:
    static constexpr bool never_blocks = true;

    struct Client {
        std::string last_id;
        std::string mode;
        bool stream = false;
    };

    explicit Events(const websocket::Server& server) : server_(server), streams_(server) {}

    HttpResponse on_http(const HttpRequest& request) {
        const std::string_view below = request.below();
        if (below == "/closes") {
            const std::lock_guard lock(mutex_);
            return {.body = closes_};
        }
        if (below == "/gone") return {.status = 204};
        if (below == "/misuse") return misuse(request);
        if (below == "/not-200") {
            static_cast<void>(streams_.accept(request));
            return {.status = 404, .body = "not today"};
        }
        if (request.method() == "POST" && below == "/publish") return publish(request);
        if (!websocket::wants_event_stream(request)) return HttpResponse::of_server();
        HttpResponse response = streams_.accept(request, std::chrono::milliseconds(200));
        if (response.status == 200) response.headers.emplace_back("X-From", "on_http");
        return response;
    }
    void on_upgrade(websocket::Upgrade& upgrade, Client& client) {
        client.stream = streams_.is_stream(upgrade);
        const std::string_view last_id = streams_.last_id(upgrade);
        client.last_id = websocket::is_utf8(last_id) ? last_id : "no text";
        client.mode = upgrade.below();
        upgrade.set_header("X-Below", upgrade.below());
        if (client.mode == "/refused") throw websocket::Refusal(402, "pay first");
        if (client.mode == "/cached") upgrade.set_header("Cache-Control", "max-age=1");
    }
    void on_open(websocket::Connection client, Client& state) {
        client.subscribe("news");
        const std::string hello =
            std::string(state.stream ? "stream" : "socket") + " after " + state.last_id;
        streams_.send(client, hello, {.name = "hello", .id = "0"});
        if (state.mode == "/close") client.close(4001, "told to");
        if (state.mode == "/flood") flood(client);
    }
    void on_message(websocket::Connection client, websocket::Message message) {
        client.send(message);
    }
    void on_writable(websocket::Connection client, Client& state) {
        if (state.mode == "/flood") flood(client);
    }
    void on_close(websocket::Connection, const websocket::Close& close, Client& state) {
        const std::lock_guard lock(mutex_);
        closes_ += (state.stream ? "stream " : "socket ") + std::to_string(close.code) +
                   (close.by_peer ? " client\n" : " server\n");
    }

private:
    /// More than anybody reads, as fast as it is taken.
    static void flood(websocket::Connection client) {
        const std::string line(4000, 'x');
        while (client.send(line) == websocket::Result::ok) {
        }
    }
    HttpResponse publish(const HttpRequest& request) {
        const auto name = request.parameter("name");
        const auto id = request.parameter("id");
        websocket::EventFields fields;
        if (name) fields.name = *name;
        if (id) fields.id = *id;
        const auto result = streams_.publish("news", request.body_text(), fields);
        return {.body = std::to_string(static_cast<int>(result))};
    }
    /// What must not be done with the C functions, and what they say to it.
    HttpResponse misuse(const HttpRequest& request) {
        const auto& table = *static_cast<const ws_event_stream_draft_1*>(
            server_.host()->extension(server_.host(), WS_EVENT_STREAM_DRAFT_1));
        const ws_host* host = server_.host();
        const std::string longest(256, 'x');
        std::string answers;
        const auto note = [&](auto result) { answers += std::to_string(result) + " "; };
        note(table.accept(nullptr, 0));
        note(table.accept(request.get(), 86'400'001));
        note(table.is_stream(nullptr));
        note(table.is_stream(request.get()));
        note(table.send(nullptr, 1, WS_TEXT, "x", 1, nullptr, 0, nullptr, 0));
        note(table.send(host, 1, WS_PING, "x", 1, nullptr, 0, nullptr, 0));
        note(table.send(host, 1, WS_TEXT, nullptr, 1, nullptr, 0, nullptr, 0));
        note(table.send(host, 1, WS_TEXT, "\xFF", 1, nullptr, 0, nullptr, 0));
        note(table.send(host, 1, WS_TEXT, "x", 1, "a\nb", 3, nullptr, 0));
        note(table.send(host, 1, WS_TEXT, "x", 1, nullptr, 1, nullptr, 0));
        note(table.send(host, 1, WS_TEXT, "x", 1, nullptr, 0, "a\0b", 3));
        note(table.send(host, 1, WS_TEXT, "x", 1, nullptr, 0, longest.data(), 256));
        note(table.send(host, 1, WS_TEXT, "x", 1, nullptr, 0, nullptr, 0));
        note(table.publish(nullptr, "t", 1, WS_TEXT, "x", 1, 0, nullptr, 0, nullptr, 0));
        note(table.publish(host, "", 0, WS_TEXT, "x", 1, 0, nullptr, 0, nullptr, 0));
        note(table.publish(host, "t", 1, WS_PONG, "x", 1, 0, nullptr, 0, nullptr, 0));
        note(table.publish(host, "t", 1, WS_TEXT, "x", 1, 0, nullptr, 0, "\r", 1));
        return {.body = answers};
    }

    const websocket::Server& server_;
    const websocket::EventStreams streams_;
    std::mutex mutex_;  // guards closes_
    std::string closes_;
};

}  // namespace

WEBSOCKET_PLUGIN(events_init, Events)
