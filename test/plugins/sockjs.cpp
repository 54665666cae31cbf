// SPDX-License-Identifier: Apache-2.0
// Plugins that speak SockJS if they are told to: each does what the text of a message says, on a loop, in the pool,
// and with messages in parts.
#include <websocket/sockjs.hpp>

namespace {

using websocket::Connection;

/// Echoes, unless it is a command.
template <bool kNeverBlocks>
struct Talk {
    static constexpr bool never_blocks = kNeverBlocks;
    struct Client {
        int messages = 0;
    };

    static void check(const websocket::Options& options) { options.allow_only({"greeting"}); }
    Talk(const websocket::Server& host, const websocket::Options& options)
        : server(host), greeting(options.text("greeting")) {}

    void on_upgrade(websocket::Upgrade& upgrade) {
        if (upgrade.query() == "refuse") upgrade.refuse(403, "no\n");
    }
    void on_open(Connection client) {
        if (!greeting.empty()) client.send(greeting);
    }
    void on_message(Connection client, websocket::Message message, Client& state) {
        ++state.messages;
        const std::string_view text = message.text();
        if (!message.is_text()) {
            client.send(message);
        } else if (text == "close") {
            client.close(3000, "Go away!");
            client.close(1000);
            client.send("too late");
        } else if (text == "binary") {
            const auto result = client.send(websocket::Type::binary, websocket::bytes_of("x"));
            client.send("binary " + std::to_string(static_cast<int>(result)));
        } else if (text == "prepared") {
            const websocket::Prepared twice = server.prepare("prepared \"x\"");
            client.send(twice);
            client.send(twice);
        } else if (text == "stream") {
            auto stream = client.stream(websocket::Type::text);
            stream.write("one ");
            stream.write("\"two\"");
            stream.finish({});
        } else if (text == "subscribe") {
            client.subscribe("room");
            client.send("subscribed");
        } else if (text == "publish") {
            server.publish("room", "to \"all\"", client.id());
            client.send("published");
        } else if (text == "pause") {
            client.pause();
            client
                .after(std::chrono::milliseconds(20),
                       [client] {
                           client.send("resumed");
                           client.resume();
                       })
                .detach();
        } else if (text == "count") {
            client.send(std::to_string(state.messages));
        } else {
            client.send(text);
        }
    }
    void on_close(Connection, const websocket::Close& close) {
        server.info("closed " + std::to_string(close.code));
    }
    websocket::HttpResponse on_http(const websocket::HttpRequest& request) {
        if (request.below() == "/mine") return {.body = "mine"};
        return websocket::HttpResponse::of_server();
    }

    const websocket::Server& server;
    const std::string greeting;
};

struct Parts {
    static constexpr bool never_blocks = true;
    struct Client {
        std::string text;
    };
    void on_fragment(Connection client, websocket::Fragment fragment, Client& state) {
        state.text += websocket::text_of(fragment.bytes);
        if (fragment.last) {
            client.send(fragment.type, websocket::bytes_of(std::exchange(state.text, {})));
        }
    }
};

using LoopTalk = Talk<true>;
using PoolTalk = Talk<false>;

}  // namespace

WEBSOCKET_SOCKJS_PLUGIN(sockjs_loop_init, LoopTalk)
WEBSOCKET_SOCKJS_PLUGIN(sockjs_pool_init, PoolTalk)
WEBSOCKET_SOCKJS_PLUGIN(sockjs_parts_init, Parts)
