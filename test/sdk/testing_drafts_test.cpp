// SPDX-License-Identifier: Apache-2.0
// Histories, presence and gaps of the server in memory.
#include <string>
#include <vector>
#include <websocket/gap.hpp>
#include <websocket/history.hpp>
#include <websocket/plugin.hpp>
#include <websocket/presence.hpp>
#include <websocket/testing.hpp>

#include "unit.hpp"

namespace {

using websocket::Connection;
using websocket::Position;
using websocket::testing::Host;
using websocket::testing::Setup;
using Words = std::vector<std::string>;

/// What it is told to: the first word of a message says what.
struct Drafts {
    struct Client {
        websocket::Listener listener;
    };
    explicit Drafts(const websocket::Server& on)
        : server(on), history(on), presence(on), gaps(on) {}

    void on_message(Connection client, websocket::Message message, Client& state) {
        const std::string text(message.text());
        const std::string command = text.substr(0, text.find(' '));
        const std::string rest = text.substr(std::min(text.size(), command.size() + 1));
        try {
            carry_out(client, command, rest, state);
        } catch (const std::exception& error) {
            client.send(std::string("failed: ") + error.what());
        }
    }
    void carry_out(Connection client, const std::string& command, const std::string& rest,
                   Client& state) {
        if (command == "has") {
            client.send(std::string(history.available() ? "history " : "") +
                        (presence.available() ? "presence " : "") +
                        (gaps.available() ? "gaps" : ""));
        } else if (command == "sub") {
            const auto what = history.subscribe(client, "news", Position::parse(rest));
            client.send((what.complete ? "recovered " : "anew ") + what.now.text());
        } else if (command == "last" || command == "behind") {
            Words all;
            const auto what = history.read(
                "news", Position::parse(rest),
                [&](const auto& one) {
                    all.push_back(one.position.text() + '=' + std::string(one.text()));
                },
                command == "last" ? static_cast<std::uint32_t>(std::stoul(rest)) : 1000);
            for (const std::string& one : all) client.send(one);
            client.send(what.complete ? "complete" : "incomplete");
        } else if (command == "hear") {
            state.listener = history.listen(
                rest, [client](const auto& one) { client.send("heard " + one.position.text()); });
        } else if (command == "pub") {
            std::optional<Position> at;
            history.publish("news", websocket::Type::text, websocket::bytes_of(rest), at);
        } else if (command == "enter") {
            client.send(taken(presence.enter(client, "room", rest, "here")) ? "in" : "out");
        } else if (command == "leave") {
            presence.leave(client, "room");
        } else if (command == "watch") {
            state.listener = presence.watch("room", [&state, client, rest](const auto& one) {
                client.send(std::to_string(static_cast<int>(one.what)) + std::string(one.id));
                if (one.id == rest) state.listener.cancel();
            });
        } else if (command == "gaps") {
            const auto tell = [&state, client, rest](const websocket::Gap& gap) {
                client.send(std::string(gap.topic.value_or("all")) + ": " +
                            std::string(gap.why_text()));
                if (rest == "once") state.listener.cancel();
            };
            state.listener =
                rest.empty() || rest == "once" ? gaps.watch_all(tell) : gaps.watch(rest, tell);
        }
    }
    const websocket::Server& server;
    const websocket::History history;
    const websocket::Presence presence;
    const websocket::Gaps gaps;
};
WEBSOCKET_PLUGIN(sdk_drafts_init, Drafts)

Setup with_history() { return {.histories = {{"news", 3}, {"room/*", 1}}}; }

void expect(const std::shared_ptr<websocket::testing::Client>& client, const std::string& say,
            const Words& wanted) {
    if (!say.empty()) client->text(say);
    const Words got = client->texts();
    std::string all;
    for (const std::string& one : got) all += one + '\n';
    ck_assert_msg(got == wanted, "to %s:\n%s", say.c_str(), all.c_str());
}

void stop(Host& host) {
    host.stop();
    ck_assert(host.offences().empty());
}

}  // namespace

START_TEST(what_the_server_does_not_have_is_missing) {
    Host host(*sdk_drafts_init(), {}, {.presence = false, .gaps = false});
    const auto client = host.connect();
    expect(client, "has", {""});
    for (const char* command : {"sub", "enter x", "watch", "gaps"}) {
        client->text(command);
        const Words got = client->texts();
        ck_assert_msg(got.size() == 1 && got[0].starts_with("failed: "), "%s", command);
    }
    stop(host);
    Host another(*sdk_drafts_init(), {}, with_history());
    expect(another.connect(), "has", {"history presence gaps"});
}
END_TEST

START_TEST(wrong_arguments_are_refused) {
    Host host(*sdk_drafts_init(), {}, with_history());
    const auto* history = static_cast<const ws_history_draft_1*>(
        host.abi()->extension(host.abi(), WS_HISTORY_DRAFT_1));
    const auto* presence = static_cast<const ws_presence_draft_1*>(
        host.abi()->extension(host.abi(), WS_PRESENCE_DRAFT_1));
    const auto* gaps =
        static_cast<const ws_gap_draft_1*>(host.abi()->extension(host.abi(), WS_GAP_DRAFT_1));
    const ws_host* abi = host.abi();
    const auto client = host.connect();
    const std::string longest(256, 'x');
    const auto gap = [](void*, const void*, std::uint64_t, std::uint32_t) {};
    const auto member = [](void*, std::uint32_t, const void*, std::uint64_t, const void*,
                           std::uint64_t) {};
    std::uint64_t number = 0;
    ws_position at{};
    ck_assert_int_eq(history->subscribe(abi, client->id(), "other", 5, nullptr, nullptr, nullptr),
                     WS_BAD_ARG);
    ck_assert_int_eq(history->subscribe(abi, 7, "news", 4, nullptr, nullptr, nullptr), WS_GONE);
    ck_assert_int_eq(history->publish(abi, "news", 4, WS_PING, "", 0, 0, &at), WS_BAD_ARG);
    ck_assert_int_eq(history->publish(abi, "news", 4, WS_TEXT, "", 0, 0, nullptr), WS_BAD_ARG);
    ck_assert_uint_eq(history->keeps(abi, "newsroom", 8), 0);
    ck_assert_uint_eq(history->keeps(abi, "room/1", 6), 1);
    ck_assert_int_eq(history->listen(abi, "news", 4, nullptr, nullptr, nullptr, &number),
                     WS_BAD_ARG);
    ck_assert_int_eq(presence->enter(abi, client->id(), "room", 4, longest.data(), 256, "", 0),
                     WS_BAD_ARG);
    ck_assert_int_eq(presence->enter(abi, client->id(), "room", 4, "x", 1, nullptr, 4), WS_BAD_ARG);
    ck_assert_int_eq(presence->enter(abi, 7, "room", 4, "x", 1, "", 0), WS_GONE);
    ck_assert_int_eq(presence->watch(abi, "room", 4, nullptr, nullptr, nullptr, &number),
                     WS_BAD_ARG);
    ck_assert_int_eq(presence->watch(abi, nullptr, 0, member, nullptr, nullptr, &number),
                     WS_BAD_ARG);
    ck_assert_int_eq(gaps->watch(abi, "", 0, gap, nullptr, nullptr, &number), WS_BAD_ARG);
    ck_assert_int_eq(gaps->watch(abi, longest.data(), 256, gap, nullptr, nullptr, &number),
                     WS_BAD_ARG);
    ck_assert_int_eq(gaps->watch(abi, nullptr, 0, nullptr, nullptr, nullptr, &number), WS_BAD_ARG);
    ck_assert_int_eq(gaps->watch(abi, nullptr, 0, gap, nullptr, nullptr, nullptr), WS_BAD_ARG);
    for (int i = 0; i < 100; ++i) {
        const std::string topic = std::to_string(i);
        ck_assert_int_eq(
            presence->enter(abi, client->id(), topic.data(), topic.size(), "x", 1, "", 0), WS_OK);
    }
    ck_assert_int_eq(presence->enter(abi, client->id(), "100", 3, "x", 1, "", 0), WS_FULL);
    client->vanish();
    ck_assert(host.present("7").empty());
    stop(host);
}
END_TEST

START_TEST(who_comes_back_gets_what_was_missed_or_is_told_that_it_cannot) {
    Host host(*sdk_drafts_init(), {}, with_history());
    const auto speaker = host.connect();
    for (const char* text : {"pub a", "pub b", "pub c", "pub d"}) speaker->text(text);
    expect(host.connect(), "sub 1-2", {"c", "d", "recovered 1-4"});
    expect(host.connect(), "sub 1-1", {"b", "c", "d", "recovered 1-4"});
    expect(host.connect(), "sub 1-0", {"anew 1-4"});  // a is gone
    expect(host.connect(), "sub 1-5", {"anew 1-4"});  // of the future
    expect(host.connect(), "sub 2-4", {"anew 1-4"});  // of another epoch
    expect(host.connect(), "sub", {"anew 1-4"});
    const auto narrow = host.connect();
    narrow->stop_reading(1);
    expect(narrow, "sub 1-2", {"anew 1-4"});
    const auto twice = host.connect();
    expect(twice, "sub 1-4", {"recovered 1-4"});
    expect(twice, "sub 1-1", {"recovered 1-4"});  // has subscribed, and gets nothing again
    host.forget("news");
    speaker->text("pub e");
    expect(host.connect(), "sub 1-4", {"anew 2-1"});
    stop(host);
}
END_TEST

START_TEST(a_history_is_read_in_order_and_heard_with_positions) {
    Host host(*sdk_drafts_init(), {}, with_history());
    const auto one = host.connect();
    expect(one, "hear news", {});
    for (const char* text : {"pub a", "pub b", "pub c", "pub d"}) one->text(text);
    expect(one, "", {"heard 1-1", "heard 1-2", "heard 1-3", "heard 1-4"});
    expect(one, "last 2", {"1-3=c", "1-4=d", "incomplete"});
    expect(one, "behind 1-3", {"1-4=d", "complete"});
    expect(one, "behind 1-0", {"incomplete"});
    stop(host);
}
END_TEST

START_TEST(members_come_and_go_with_their_clients) {
    Host host(*sdk_drafts_init());
    host.enter("room", "zoe", "elsewhere");
    const auto watch = host.connect();
    expect(watch, "watch", {"1zoe"});
    const auto one = host.connect();
    const auto other = host.connect();
    expect(one, "enter ann", {"in"});
    expect(other, "enter ann", {"in"});
    expect(watch, "", {"1ann"});
    one->vanish();
    expect(watch, "", {});
    expect(other, "enter bob", {"in"});  // another one from now on
    expect(watch, "", {"2ann", "1bob"});
    ck_assert(host.present("room") ==
              websocket::testing::Pairs({{"bob", "here"}, {"zoe", "elsewhere"}}));
    other->text("leave");
    host.enter("room", "zoe", "still");
    expect(watch, "", {"2bob", "3zoe"});
    host.leave("room", "zoe");
    host.leave("room", "nobody");
    expect(watch, "", {"2zoe"});
    host.enter("room", "a");
    host.enter("room", "b");
    expect(host.connect(), "watch a", {"1a"});  // ends in the middle
    stop(host);
}
END_TEST

START_TEST(gaps_are_told_of_topics_that_somebody_wants_to_those_who_want_to_know) {
    Host host(*sdk_drafts_init(), {}, with_history());
    const auto all = host.connect();
    const auto news = host.connect();
    expect(all, "gaps", {});
    expect(news, "gaps news", {});
    host.gap(WS_GAP_HOLE, "news");  // nobody listens to it
    expect(all, "", {});
    expect(host.connect(), "sub", {"anew 1-0"});
    host.gap(WS_GAP_HOLE, "news");
    expect(all, "", {"news: hole"});
    expect(news, "", {"news: hole"});
    host.gap(WS_GAP_RECONNECTED);
    host.gap(WS_GAP_HOST_DROPPED);
    host.gap(99);
    expect(news, "", {"all: reconnected", "all: host dropped", "all: unknown"});
    const auto once = host.connect();
    expect(once, "gaps once", {});
    host.gap(WS_GAP_BUSY);
    host.gap(WS_GAP_BUSY);
    expect(once, "", {"all: busy"});
    expect(all, "gaps \x01",
           {"all: reconnected", "all: host dropped", "all: unknown", "all: busy", "all: busy"});
    stop(host);
}
END_TEST

WEBSOCKET_TEST_SUITE(testing_drafts) {
    tcase_add_test(tests, what_the_server_does_not_have_is_missing);
    tcase_add_test(tests, wrong_arguments_are_refused);
    tcase_add_test(tests, who_comes_back_gets_what_was_missed_or_is_told_that_it_cannot);
    tcase_add_test(tests, a_history_is_read_in_order_and_heard_with_positions);
    tcase_add_test(tests, members_come_and_go_with_their_clients);
    tcase_add_test(tests, gaps_are_told_of_topics_that_somebody_wants_to_those_who_want_to_know);
}
