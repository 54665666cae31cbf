// SPDX-License-Identifier: Apache-2.0
// The shipped plugins in the server in memory that their authors have, too.
#include <websocket/testing.hpp>

#include "plugin/built_plugin.hpp"
#include "plugin/loader.hpp"
#include "unit.hpp"

using namespace std::chrono_literals;
using websocket::plugin::Plugin;
using websocket::test::built_plugin;
using websocket::testing::Handshake;
using websocket::testing::Host;
using websocket::testing::Pairs;

namespace {

/// A plugin of this build; stays loaded.
const WebSocketPlugin& load(const std::string& name) {
    std::string error;
    static std::vector<std::unique_ptr<Plugin>> loaded;
    loaded.push_back(Plugin::load(built_plugin("plugins/websocket_" + name + ".so"), name,
                                  name + "_init", error));
    ck_assert_msg(loaded.back() != nullptr, "%s", error.c_str());
    return loaded.back()->callbacks();
}

std::string start_error(const std::string& name, const Pairs& options) {
    try {
        const Host host(load(name), options);
    } catch (const std::runtime_error& error) {
        return error.what();
    }
    return "";
}

void expect(const std::vector<std::string>& got, const std::vector<std::string>& wanted) {
    std::string all;
    for (const std::string& text : got) all += text + "\n";
    ck_assert_msg(got == wanted, "got:\n%s", all.c_str());
}

}  // namespace

START_TEST(echo_sends_everything_back) {
    Host host(load("echo"));
    const auto client = host.connect();
    client->text("hi");
    client->binary(std::string("\0x", 2));
    ck_assert_uint_eq(client->received().size(), 2);
    ck_assert(client->received()[1].type == WS_BINARY);
    ck_assert(client->received()[1].payload == std::string("\0x", 2));
}
END_TEST

START_TEST(dumb_increment_counts_each_client_until_reset) {
    Host host(load("dumb_increment"));
    Handshake offer;
    offer.subprotocols = {"x", "dumb-increment-protocol"};
    const auto one = host.connect(offer);
    ck_assert(one->answer().headers ==
              (Pairs{{"Sec-WebSocket-Protocol", "dumb-increment-protocol"}}));
    host.advance(160ms);
    expect(one->texts(), {"0", "1", "2"});
    const auto other = host.connect();
    one->text("reset\n");
    host.advance(100ms);
    expect(one->texts(), {"0", "1"});
    expect(other->texts(), {"0", "1"});
    one->vanish();
    host.advance(50ms);
    expect(other->texts(), {"2"});
    host.stop();
    ck_assert(host.offences().empty());
}
END_TEST

START_TEST(ticker_tells_all_its_clients_the_time) {
    Host host(load("ticker"), {{"interval", "100"}, {"topic", "time"}});
    const auto one = host.connect();
    const auto other = host.connect();
    ck_assert_int_eq(host.metric("clients"), 2);
    host.advance(250ms);
    const auto texts = one->texts();
    ck_assert_uint_eq(texts.size(), 2);
    ck_assert_uint_eq(texts[0].size(), 20);
    ck_assert_uint_eq(other->texts().size(), 2);
    other->close();
    ck_assert_int_eq(host.metric("clients"), 1);
    ck_assert(start_error("ticker", {{"interval", "1"}}).find("from 10 to 3600000") !=
              std::string::npos);
    ck_assert(start_error("ticker", {{"colour", "1"}}).find("interval, topic") !=
              std::string::npos);
    ck_assert(!start_error("ticker", {{"topic", std::string(256, 'x')}}).empty());
}
END_TEST

START_TEST(chat_has_rooms_with_presence_and_history) {
    Host host(load("chat"), {{"history", "2"}});
    const auto alice = host.connect("/chat?name=alice&room=tea");
    expect(alice->texts(), {R"({"type":"here","names":["alice"]})"});
    for (const char* text : {"one", "t\"wo", "three\n"}) alice->text(text);
    expect(alice->texts(), {R"({"type":"message","from":"alice","text":"one"})",
                            R"({"type":"message","from":"alice","text":"t\"wo"})",
                            R"({"type":"message","from":"alice","text":"three\u000a"})"});
    Handshake request;
    request.target = "/chat?name=mallory&room=tea";
    request.user = "bob";  // whom httpd knows counts
    const auto bob = host.connect(request);
    expect(bob->texts(), {R"({"type":"message","from":"alice","text":"t\"wo"})",
                          R"({"type":"message","from":"alice","text":"three\u000a"})",
                          R"({"type":"here","names":["alice","bob"]})"});
    expect(alice->texts(), {R"({"type":"joined","name":"bob"})"});
    const auto elsewhere = host.connect("/chat?name=carol");
    const auto twice = host.connect(request);
    expect(alice->texts(), {});
    twice->close();
    expect(alice->texts(), {});
    bob->vanish();
    expect(alice->texts(), {R"({"type":"left","name":"bob"})"});
    expect(elsewhere->texts(), {R"({"type":"here","names":["carol"]})"});
    alice->binary("x");
    ck_assert(alice->closed_with() == 1003);
    ck_assert(host.offences().empty());
}
END_TEST

START_TEST(chat_wants_a_name) {
    Host host(load("chat"));
    for (const char* target : {"/chat", "/chat?name=", "/chat?name=a%00b", "/chat?name=x&room="}) {
        ck_assert_uint_eq(host.connect(target)->answer().status, 400);
    }
    ck_assert(!start_error("chat", {{"history", "1001"}}).empty());
}
END_TEST

WEBSOCKET_TEST_SUITE(shipped_plugins) {
    tcase_add_test(tests, echo_sends_everything_back);
    tcase_add_test(tests, dumb_increment_counts_each_client_until_reset);
    tcase_add_test(tests, ticker_tells_all_its_clients_the_time);
    tcase_add_test(tests, chat_has_rooms_with_presence_and_history);
    tcase_add_test(tests, chat_wants_a_name);
}
