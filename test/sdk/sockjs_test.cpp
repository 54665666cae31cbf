// SPDX-License-Identifier: Apache-2.0
// The SockJS layer around a plugin, in memory: pages, frames, and what goes wrong.
#include <string>
#include <vector>

#include <websocket/sockjs.hpp>
#include <websocket/testing.hpp>

#include "unit.hpp"

namespace {

using SockjsHost = websocket::testing::Host;
using SockjsTexts = std::vector<std::string>;
using namespace std::chrono_literals;

/// Does what a message says, else echoes it.
struct SockjsProbe {
    static constexpr bool never_blocks = true;
    static inline SockjsTexts events;

    explicit SockjsProbe(const websocket::Server& host) : server(host) {}

    static void on_upgrade(websocket::Upgrade& upgrade) {
        if (upgrade.query() == "refuse") upgrade.refuse(403, "no\n");
    }
    static void on_open(websocket::Connection client) { client.send("welcome"); }
    void on_message(websocket::Connection client, websocket::Message message) const {
        const std::string text(message.text());
        events.push_back(text);
        if (text == "close") {
            client.close(4000, "b\"ye");
            events.push_back(std::to_string(static_cast<int>(client.send("late"))));
        } else if (text == "binary") {
            const auto result = client.send(websocket::Type::binary, websocket::bytes_of("x"));
            events.push_back(std::to_string(static_cast<int>(result)));
        } else if (text == "prepared") {
            client.send(server.prepare("both"));
        } else if (text == "subscribe") {
            client.subscribe("room");
        } else if (text == "publish") {
            server.publish("room", "to all");
            server.publish("room", websocket::Type::binary, websocket::bytes_of("x"));
        } else if (text == "pause") {
            client.pause();
            client.after(100ms, [client] { client.resume(); }).detach();
        } else {
            client.send(message);
        }
    }
    static void on_close(websocket::Connection, const websocket::Close& close) {
        events.push_back("end " + std::to_string(close.code));
    }

    const websocket::Server& server;
};
WEBSOCKET_SOCKJS_PLUGIN(sockjs_probe_init, SockjsProbe)

/// A connection with frames that has been welcomed.
std::shared_ptr<websocket::testing::Client> sockjs_client(SockjsHost& host) {
    const auto client = host.connect("/000/abc/websocket");
    ck_assert(client->open());
    ck_assert(client->texts() == SockjsTexts({"o", R"(a["welcome"])"}));
    return client;
}

std::string sockjs_options_error(const websocket::testing::Pairs& options) {
    try {
        const SockjsHost host(*sockjs_probe_init(), options);
    } catch (const std::runtime_error& error) {
        return error.what();
    }
    return "";
}

SockjsTexts sockjs_happened() { return std::exchange(SockjsProbe::events, {}); }

const websocket::testing::Pairs kSockjsOn{{"sockjs", "on"}};

}  // namespace

START_TEST(what_is_no_frame_ends_the_connection) {
    SockjsHost host(*sockjs_probe_init(), kSockjsOn);
    for (const char* frame : {"x", "[", "[1]", "{}", R"(["a")"}) {
        const auto client = sockjs_client(host);
        client->text(frame);
        ck_assert(client->closed_with() == 3000);
        ck_assert_str_eq(client->close_reason().c_str(), "Broken framing.");
    }
    const auto client = sockjs_client(host);
    client->binary(R"(["a"])");
    ck_assert(client->closed_with() == 3000);
    ck_assert(sockjs_happened() == SockjsTexts(6, "end 3000"));
    ck_assert(host.offences().empty());
}
END_TEST

START_TEST(sockjs_options_that_are_wrong_stop_the_server) {
    ck_assert(sockjs_options_error({{"sockjs", "yes"}}).find("neither on nor off") !=
              std::string::npos);
    ck_assert(sockjs_options_error({{"sockjs-heartbeat", "0"}}).find("from 1 to 3600") !=
              std::string::npos);
    ck_assert(sockjs_options_error({{"sockjs-url", "a\"b"}}).find("no address") !=
              std::string::npos);
}
END_TEST

START_TEST(paths_that_are_no_sessions_are_not_found) {
    SockjsHost host(*sockjs_probe_init(), kSockjsOn);
    for (const char* path :
         {"/info", "/iframe.html", "/a.b/c/websocket", "/a/b.c/websocket", "/a/b/xhr"}) {
        ck_assert_uint_eq(host.connect(path)->answer().status, 404);
    }
    ck_assert_uint_eq(host.connect("/a/b/websocket?refuse")->answer().status, 403);
    for (const char* path :
         {"/a/b/xhr", "/a/b/c/websocket", "/a//websocket", "//b/websocket", "/iframe/x.html"}) {
        ck_assert_uint_eq(host.answer({.target = path}).status, 404);
    }
    ck_assert_uint_eq(host.answer({.method = "POST", .target = "/info"}).status, 405);
    ck_assert_uint_eq(host.answer({.target = "/a/b/websocket"}).status, 400);
    ck_assert(sockjs_happened().empty() && host.offences().empty());
}
END_TEST

START_TEST(info_tells_pages_of_others_nothing) {
    SockjsHost host(*sockjs_probe_init(), kSockjsOn);
    const auto allowed = [&host](bool trusted) {
        for (const auto& [name, value] : host.answer({.target = "/info",
                                         .headers = {{"Origin", "http://x"}},
                                         .trusted_origin = trusted})
                                             .headers) {
            if (name == "Access-Control-Allow-Origin") return value;
        }
        return std::string();
    };
    ck_assert(allowed(true) == "http://x");
    ck_assert(allowed(false).empty());
    const auto info = host.answer({.target = "/info?" + std::string(100000, 'q')});
    ck_assert(info.status == 200 && info.body.starts_with(R"({"websocket":true,)"));
    ck_assert(host.answer({}).body == "Welcome to SockJS!\n");
}
END_TEST

START_TEST(the_plugin_sees_messages_and_the_client_frames) {
    SockjsHost host(*sockjs_probe_init(), kSockjsOn);
    const auto client = sockjs_client(host);
    client->text(R"(["a","b"])");
    client->text(R"("single")");
    client->text("");
    client->text("[]");
    client->text(R"(["prepared","binary"])");
    ck_assert(client->texts() ==
              SockjsTexts({R"(a["a"])", R"(a["b"])", R"(a["single"])", R"(a["both"])"}));
    ck_assert(sockjs_happened() == SockjsTexts({"a", "b", "single", "prepared", "binary", "-4"}));
    client->text(R"(["close","not heard"])");
    ck_assert(client->texts() == SockjsTexts({R"(c[4000,"b\"ye"])"}));
    ck_assert(client->closed_with() == 4000);
    ck_assert(sockjs_happened() == SockjsTexts({"close", "-2", "end 4000"}));
    ck_assert(host.offences().empty());
}
END_TEST

START_TEST(a_pause_holds_back_the_rest_of_a_frame) {
    SockjsHost host(*sockjs_probe_init(), kSockjsOn);
    const auto client = sockjs_client(host);
    client->text(R"(["pause","x"])");
    ck_assert(client->paused() && client->texts().empty());
    host.advance(100ms);
    ck_assert(!client->paused() && client->texts() == SockjsTexts({R"(a["x"])"}));
    client->text(R"(["pause","gone"])");
    client->vanish();
    host.advance(1s);
    ck_assert(sockjs_happened() == SockjsTexts({"pause", "x", "pause", "end 1006"}));
    ck_assert(host.offences().empty());
}
END_TEST

START_TEST(topics_reach_both_kinds_of_clients_as_they_can_read_them) {
    SockjsHost host(*sockjs_probe_init(), kSockjsOn);
    const auto framed = sockjs_client(host);
    const auto raw = host.connect("/websocket");
    framed->text(R"(["subscribe"])");
    raw->text("subscribe");
    static_cast<void>(raw->texts());
    raw->text("publish");
    ck_assert(framed->texts() == SockjsTexts({R"(a["to all"])"}));
    ck_assert(raw->texts() == SockjsTexts({"to all"}));
    ck_assert_uint_eq(raw->received().back().type, WS_BINARY);
    static_cast<void>(sockjs_happened());
    ck_assert(host.offences().empty());
}
END_TEST

START_TEST(a_heart_beats_until_the_end) {
    SockjsHost host(*sockjs_probe_init(), {{"sockjs", "on"}, {"sockjs-heartbeat", "2"}});
    const auto client = sockjs_client(host);
    host.advance(5s);
    ck_assert(client->texts() == SockjsTexts({"h", "h"}));
    client->close(1000);
    host.advance(10s);
    ck_assert(client->texts().empty());
    host.stop();
    ck_assert(sockjs_happened() == SockjsTexts({"end 1000"}));
    ck_assert(host.offences().empty());
}
END_TEST

START_TEST(without_the_option_a_plugin_is_what_it_is) {
    SockjsHost host(*sockjs_probe_init());
    const auto client = host.connect("/000/abc/websocket");
    client->text(R"(["a"])");
    ck_assert(client->texts() == SockjsTexts({"welcome", R"(["a"])"}));
    ck_assert_uint_eq(host.answer({.target = "/info"}).status, 426);
    static_cast<void>(sockjs_happened());
}
END_TEST

WEBSOCKET_TEST_SUITE(sockjs) {
    tcase_add_test(tests, what_is_no_frame_ends_the_connection);
    tcase_add_test(tests, sockjs_options_that_are_wrong_stop_the_server);
    tcase_add_test(tests, paths_that_are_no_sessions_are_not_found);
    tcase_add_test(tests, info_tells_pages_of_others_nothing);
    tcase_add_test(tests, the_plugin_sees_messages_and_the_client_frames);
    tcase_add_test(tests, a_pause_holds_back_the_rest_of_a_frame);
    tcase_add_test(tests, topics_reach_both_kinds_of_clients_as_they_can_read_them);
    tcase_add_test(tests, a_heart_beats_until_the_end);
    tcase_add_test(tests, without_the_option_a_plugin_is_what_it_is);
}
