// SPDX-License-Identifier: Apache-2.0
// The shipped plugins in the server in memory that their authors have, too.
#include <websocket/testing.hpp>

#include "plugin/built_plugin.hpp"
#include "plugin/common/loader.hpp"
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

/// The texts without when and in which process they were said.
std::vector<std::string> said(const std::shared_ptr<websocket::testing::Client>& client) {
    std::vector<std::string> texts = client->texts();
    for (std::string& text : texts) {
        const std::size_t at = text.find("\"at\":");
        if (at != std::string::npos) text.erase(at, text.find("\"from\":") - at);
    }
    return texts;
}

/// What another child says in a room, as the shipped chat does.
void say_elsewhere(const Host& host, const std::string& topic, const std::string& text) {
    const auto* topics =
        static_cast<const ws_topic_1*>(host.abi()->extension(host.abi(), WS_TOPIC_1));
    ck_assert_int_eq(topics->publish(host.abi(), topic.data(), topic.size(), WS_TEXT, text.data(),
                                     text.size(), 0, 0),
                     WS_OK);
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

START_TEST(echo_does_not_read_from_a_client_that_does_not_read) {
    Host host(load("echo"));
    const auto client = host.connect();
    client->stop_reading(10);
    client->text("1234");
    ck_assert(!client->paused());
    client->text("5678");
    ck_assert(client->paused());
    client->read();
    ck_assert(!client->paused());
    client->text("again");
    expect(client->texts(), {"1234", "5678", "again"});
    ck_assert(host.offences().empty());
}
END_TEST

START_TEST(dumb_increment_leaves_no_number_out_for_a_slow_client) {
    Host host(load("dumb_increment"));
    const auto client = host.connect();
    host.advance(100ms);
    client->stop_reading();
    host.advance(500ms);
    client->read();
    host.advance(50ms);
    expect(client->texts(), {"0", "1", "2"});
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
    host.lead(false);  // another child does
    host.advance(300ms);
    expect(one->texts(), {});
    host.lead(true);
    host.advance(100ms);
    ck_assert_uint_eq(one->texts().size(), 1);
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
    expect(said(alice), {R"({"type":"here","names":["alice"]})"});
    for (const char* text : {"one", "t\"wo", "three\n"}) alice->text(text);
    expect(said(alice), {R"({"type":"message","from":"alice","text":"one"})",
                         R"({"type":"message","from":"alice","text":"t\"wo"})",
                         R"({"type":"message","from":"alice","text":"three\n"})"});
    Handshake request;
    request.target = "/chat?name=mallory&room=tea";
    request.user = "bob";  // whom httpd knows counts
    const auto bob = host.connect(request);
    expect(said(bob), {R"({"type":"message","from":"alice","text":"t\"wo"})",
                       R"({"type":"message","from":"alice","text":"three\n"})",
                       R"({"type":"here","names":["alice","bob"]})"});
    expect(said(alice), {R"({"type":"joined","name":"bob"})"});
    const auto elsewhere = host.connect("/chat?name=carol");
    const auto twice = host.connect(request);
    expect(said(alice), {});
    twice->close();
    expect(said(alice), {});
    bob->vanish();
    expect(said(alice), {R"({"type":"left","name":"bob"})"});
    expect(said(elsewhere), {R"({"type":"here","names":["carol"]})"});
    alice->binary("x");
    ck_assert(alice->closed_with() == 1003);
    ck_assert(host.offences().empty());
}
END_TEST

START_TEST(chat_knows_who_is_in_other_children_and_what_they_said) {
    Host host(load("chat"), {{"heartbeat", "1000"}}, {.presence = false});
    const auto alice = host.connect("/chat?name=alice&room=tea");
    expect(said(alice), {R"({"type":"here","names":["alice"]})"});
    const auto in_children = [&](const std::string& text) {
        say_elsewhere(host, "chat-children:tea", text);
        host.advance(0ms);
    };
    in_children("names\nother\nalice\nbob");
    expect(said(alice), {R"({"type":"joined","name":"bob"})"});
    in_children("names\nother\nbob\ncarol");
    expect(said(alice), {R"({"type":"joined","name":"carol"})"});
    const std::string line = R"({"type":"message","at":1,"id":"other.1","from":"bob","text":"hi"})";
    say_elsewhere(host, "chat:tea", line);
    host.advance(0ms);
    expect(alice->texts(), {line});
    expect(host.connect("/chat?name=dora&room=tea")->texts(),
           {line, R"({"type":"here","names":["alice","bob","carol","dora"]})"});
    expect(said(alice), {R"({"type":"joined","name":"dora"})"});
    for (const char* nonsense :
         {"", "\n", "names", "state", "ask", "state\n\n\n-1\nx", "what\nx"}) {
        in_children(nonsense);
        say_elsewhere(host, "chat:tea", nonsense);
    }
    static_cast<void>(alice->texts());
    host.stop();
    ck_assert(host.offences().empty());
}
END_TEST

START_TEST(chat_forgets_children_that_are_silent) {
    Host host(load("chat"), {{"heartbeat", "100"}}, {.presence = false});
    const auto alice = host.connect("/chat?name=alice");
    say_elsewhere(host, "chat-children:lobby", "names\nother\nbob");
    host.advance(0ms);
    expect(said(alice),
           {R"({"type":"here","names":["alice"]})", R"({"type":"joined","name":"bob"})"});
    host.advance(300ms);
    expect(said(alice), {});
    host.advance(100ms);
    expect(said(alice), {R"({"type":"left","name":"bob"})"});
}
END_TEST

START_TEST(chat_asks_a_server_that_knows_who_is_there_and_what_was_said) {
    Host host(load("chat"), {}, {.histories = {{"chat:*", 2}}});
    host.enter("chat:tea", "bob");
    const auto alice = host.connect("/chat?name=alice&room=tea");
    host.advance(0ms);
    expect(said(alice), {R"({"type":"here","names":["alice","bob"]})"});
    host.leave("chat:tea", "bob");
    host.enter("chat:tea", "carol");
    host.advance(0ms);
    expect(said(alice), {R"({"type":"left","name":"bob"})", R"({"type":"joined","name":"carol"})"});
    for (const char* text : {"1", "2", "3"}) alice->text(text);
    host.advance(0ms);
    static_cast<void>(alice->texts());
    const auto dora = host.connect("/chat?name=dora&room=tea");
    host.advance(0ms);
    expect(said(dora), {R"({"type":"message","from":"alice","text":"2"})",
                        R"({"type":"message","from":"alice","text":"3"})",
                        R"({"type":"here","names":["alice","carol","dora"]})"});
    host.stop();
    ck_assert(host.offences().empty());
}
END_TEST

START_TEST(chat_keeps_rooms_for_a_while_but_not_all) {
    Host host(load("chat"));
    const auto visit = [&](const std::string& room, const std::string& words) {
        const auto client = host.connect("/chat?name=a&room=" + room);
        const std::vector<std::string> texts = said(client);
        if (!words.empty()) client->text(words);
        client->close();
        return texts;
    };
    visit("first", "kept");
    for (int i = 0; i < 50; ++i) visit(std::to_string(i), "");
    expect(visit("first", ""),
           {R"({"type":"message","from":"a","text":"kept"})", R"({"type":"here","names":["a"]})"});
    for (int i = 0; i < 101; ++i) visit(std::to_string(i), "");
    expect(visit("first", ""), {R"({"type":"here","names":["a"]})"});
    ck_assert(host.offences().empty());
}
END_TEST

START_TEST(chat_refuses_what_is_too_long) {
    Host host(load("chat"));
    const auto client = host.connect("/chat?name=a");
    client->text(std::string(16384, 'x'));
    ck_assert(client->open());
    client->text(std::string(16385, 'x'));
    ck_assert(client->closed_with() == 1009);
}
END_TEST

START_TEST(chat_sends_who_is_there_to_a_client_that_was_slow) {
    Host host(load("chat"));
    const auto alice = host.connect("/chat?name=alice");
    static_cast<void>(alice->texts());
    alice->stop_reading();
    const auto bob = host.connect("/chat?name=bob");
    const auto carol = host.connect("/chat?name=carol");
    bob->close();
    expect(said(alice), {});
    alice->read();
    expect(said(alice), {R"({"type":"here","names":["alice","carol"]})"});
    carol->close();
    expect(said(alice), {R"({"type":"left","name":"carol"})"});
    ck_assert(host.offences().empty());
}
END_TEST

START_TEST(chats_of_other_locations_have_rooms_of_their_own_if_told_so) {
    Host host(load("chat"), {{"rooms", "private"}});
    const auto alice = host.connect("/chat?name=alice");
    static_cast<void>(alice->texts());
    say_elsewhere(host, "chat:lobby", R"({"type":"message","at":1,"id":"x","from":"b","text":""})");
    say_elsewhere(host, "chat-children:lobby", "names\nother\nbob");
    host.advance(0ms);
    expect(said(alice), {});
    for (const char* word : {"", "a-b", "A", "a:b"}) {
        ck_assert(!start_error("chat", {{"rooms", word}}).empty());
    }
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
    tcase_add_test(tests, echo_does_not_read_from_a_client_that_does_not_read);
    tcase_add_test(tests, dumb_increment_leaves_no_number_out_for_a_slow_client);
    tcase_add_test(tests, dumb_increment_counts_each_client_until_reset);
    tcase_add_test(tests, ticker_tells_all_its_clients_the_time);
    tcase_add_test(tests, chat_has_rooms_with_presence_and_history);
    tcase_add_test(tests, chat_knows_who_is_in_other_children_and_what_they_said);
    tcase_add_test(tests, chat_forgets_children_that_are_silent);
    tcase_add_test(tests, chat_asks_a_server_that_knows_who_is_there_and_what_was_said);
    tcase_add_test(tests, chat_keeps_rooms_for_a_while_but_not_all);
    tcase_add_test(tests, chat_refuses_what_is_too_long);
    tcase_add_test(tests, chat_sends_who_is_there_to_a_client_that_was_slow);
    tcase_add_test(tests, chats_of_other_locations_have_rooms_of_their_own_if_told_so);
    tcase_add_test(tests, chat_wants_a_name);
}
