// SPDX-License-Identifier: Apache-2.0
#include "bridge/nats_link.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bridge/fake_nats.hpp"
#include "engine/awaiting.hpp"
#include "unit.hpp"

using namespace std::chrono_literals;
using websocket::bridge::BrokerLink;
using websocket::bridge::BrokerLinkOptions;
using websocket::bridge::NatsLink;
using websocket::test::FakeNats;

namespace {

/// Writes down what it is told, and the log.
struct NatsWitness final : BrokerLink::Owner, websocket::base::Log {
    void on_up() override { ++ups; }
    void on_down(const BrokerLink::Loss& loss) override { losses.push_back(loss); }
    void on_message(const std::string& channel, std::string_view payload) override {
        messages.emplace_back(channel, payload);
    }
    void on_published(bool accepted) override { ++(accepted ? confirmed : refused); }
    void on_room() override { ++rooms; }
    void on_missed() override { ++missed; }
    void write(websocket::base::LogLevel /*level*/, std::string_view line) noexcept override {
        all += std::string(line) + '\n';
    }
    [[nodiscard]] bool has(std::string_view text) const {
        return all.find(text) != std::string::npos;
    }

    int ups = 0;
    std::vector<BrokerLink::Loss> losses;
    std::vector<std::pair<std::string, std::string>> messages;
    int confirmed = 0;
    int refused = 0;
    int rooms = 0;
    int missed = 0;
    std::string all;
};

struct NatsWorld {
    BrokerLinkOptions options = [] {
        BrokerLinkOptions made;
        made.url.kind = websocket::hub::BrokerUrl::Kind::nats;
        made.first_channels = {"ws.!hosts"};
        made.first_pause = 1ms;
        made.longest_pause = 10ms;
        return made;
    }();
    FakeNats nats;
    NatsWitness witness;
    websocket::net::Reactor reactor{1ms};
    std::unique_ptr<NatsLink> link;

    void begin() {
        if (options.url.hosts.empty()) options.url.hosts = {{"127.0.0.1", nats.port}};
        link = std::make_unique<NatsLink>(reactor, options, witness, witness);
        link->start();
    }
    void up() {
        begin();
        await([this] { return link->is_up(); }, "being up");
    }
    template <class Condition>
    void await(Condition condition, const char* what) {
        const auto limit = std::chrono::steady_clock::now() + websocket::test::kPatience;
        while (!condition()) {
            ck_assert_msg(std::chrono::steady_clock::now() < limit, "waited in vain for %s\n%s",
                          what, witness.all.c_str());
            reactor.wait(1ms);
            reactor.dispatch();
            reactor.fire_timers();
            nats.step();
        }
    }
    void await_line(const char* text) {
        await([&] { return witness.has(text); }, text);
    }
    void publish(std::string_view payload) {
        link->publish("ws.www.news", payload);
        link->flush();
    }
    void subscribe() {
        link->subscribe("ws.www.news");
        link->flush();
        await([this] { return nats.has_subscriber("ws.www.news"); }, "the subscription");
    }
};

struct WrongServer {
    const char* greeting;
    const char* error;
    const char* words;
};

constexpr const char* kGood =
    "INFO {\"server_id\":\"fake\",\"version\":\"2.9.10\",\"proto\":1,\"max_payload\":1000}\r\n";

}  // namespace

START_TEST(errors_of_a_nats_server_are_told_in_words_until_they_are_over) {
    for (const WrongServer& wrong : {
             WrongServer{kGood, "Authorization Violation", "does not know this user, password"},
             {kGood, "Maximum Connections Exceeded", "it says (Maximum Connections Exceeded)"},
             {"hello, this is no NATS\r\n", "", "the protocol of NATS"},
         }) {
        NatsWorld world;
        world.nats.greeting = wrong.greeting;
        world.nats.error = wrong.error;
        world.begin();
        world.await_line(wrong.words);
        ck_assert(world.witness.has("WS0602"));
        world.nats.greeting = kGood;
        world.nats.error.clear();
        world.await([&] { return world.link->is_up(); }, "being up");
        ck_assert(world.witness.has("WS0601"));
        ck_assert(world.witness.losses.empty());  // it never was up before
    }
}
END_TEST

START_TEST(a_nats_server_that_does_not_answer_is_tried_again) {
    NatsWorld world;
    world.options.patience = 50ms;
    world.nats.greeting.clear();
    world.begin();
    world.await_line("it does not answer");
    world.await([&] { return world.nats.accepted >= 2; }, "another try");
}
END_TEST

/// The library waits for a handshake of TLS for as long as it takes.
START_TEST(a_nats_server_that_stalls_in_a_handshake_is_tried_again_by_another_thread) {
    NatsWorld world;
    world.options.patience = 20ms;
    world.nats.greeting = "INFO {\"server_id\":\"fake\",\"proto\":1,\"max_payload\":1000,"
                          "\"tls_required\":true}\r\n";
    world.begin();
    world.await([&] { return world.nats.accepted >= 2; }, "another try");
    ck_assert(world.witness.has("it does not answer"));
    world.nats.cut();
}
END_TEST

START_TEST(a_nats_server_that_is_not_there_is_left_for_the_next_one) {
    NatsWorld world;
    world.options.url.hosts = {{"127.0.0.1", 1}, {"127.0.0.1", world.nats.port}};
    world.up();
    ck_assert_int_eq(world.witness.ups, 1);
}
END_TEST

START_TEST(user_password_and_token_reach_the_nats_server_whatever_is_in_them) {
    {
        NatsWorld world;
        world.options.url.user = "us\"er";
        world.options.url.password = "pa\\ss\t";
        world.up();
        const std::string line = world.nats.connects.at(0);
        ck_assert_msg(line.find(R"("user":"us\"er")") != std::string::npos, "%s", line.c_str());
        ck_assert_msg(line.find(R"("pass":"pa\\ss\u0009")") != std::string::npos, "%s",
                      line.c_str());
    }
    NatsWorld world;
    world.options.url.password = "t0ken";
    world.up();
    const std::string line = world.nats.connects.at(0);
    ck_assert_msg(line.find(R"("auth_token":"t0ken")") != std::string::npos, "%s", line.c_str());
}
END_TEST

START_TEST(what_is_too_large_for_the_nats_server_is_refused_and_told) {
    NatsWorld world;
    world.up();
    world.publish(std::string(1001, 'x'));
    ck_assert_int_eq(world.witness.refused, 1);
    ck_assert(world.witness.has("WS0630: a message of 1001 bytes on the subject \"ws.www.news\""));
    world.publish(std::string(1000, 'x'));
    world.await([&] { return world.witness.confirmed == 1; }, "the confirmation");
    ck_assert(world.link->is_idle());
    ck_assert_uint_eq(world.nats.published.size(), 1);
}
END_TEST

START_TEST(what_the_user_may_not_do_is_told_and_the_connection_stays) {
    NatsWorld world;
    world.up();
    world.nats.say("-ERR 'Permissions Violation for Subscription to \"ws.secret\"'");
    world.await_line("WS0631");
    ck_assert(world.link->is_up());
}
END_TEST

START_TEST(messages_come_in_order_from_what_is_subscribed_to) {
    NatsWorld world;
    world.up();
    world.subscribe();
    for (int i = 0; i < 500; ++i) {
        world.nats.publish("ws.www.news", std::to_string(i));
    }
    world.await([&] { return world.witness.messages.size() >= 500; }, "messages");
    for (std::size_t i = 0; i < 500; ++i) {
        ck_assert(world.witness.messages[i] ==
                  std::pair(std::string("ws.www.news"), std::to_string(i)));
    }
    world.link->unsubscribe("ws.www.news");
    world.link->flush();
    world.await([&] { return !world.nats.has_subscriber("ws.www.news"); }, "its end");
}
END_TEST

START_TEST(what_nobody_has_confirmed_is_told_when_the_nats_connection_ends) {
    NatsWorld world;
    world.up();
    world.nats.confirms = false;
    world.publish("perhaps");
    world.publish("perhaps");
    ck_assert(!world.link->is_idle());
    world.await([&] { return !world.nats.published.empty(); }, "the message");
    world.nats.cut();
    world.nats.confirms = true;
    world.await([&] { return world.witness.losses.size() == 1; }, "the end");
    ck_assert_uint_eq(world.witness.losses[0].unconfirmed, 2);
    world.await([&] { return world.witness.ups == 2; }, "the next connection");
    ck_assert(world.link->is_idle());
}
END_TEST

START_TEST(a_nats_server_that_ends_may_have_kept_to_itself_what_it_confirmed) {
    NatsWorld world;
    world.up();
    world.publish("confirmed");
    world.await([&] { return world.witness.confirmed == 1; }, "the confirmation");
    world.nats.cut();
    world.await([&] { return world.witness.ups == 2; }, "the next connection");
    ck_assert(world.witness.losses.at(0).uncertain);
    ck_assert_uint_eq(world.witness.losses.at(0).unconfirmed, 0);
    world.nats.cut();
    world.await([&] { return world.witness.ups == 3; }, "the next connection");
    ck_assert(!world.witness.losses.at(1).uncertain);
}
END_TEST

START_TEST(more_than_may_wait_for_the_loop_is_missed_and_told) {
    NatsWorld world;
    world.options.most_waiting = 1;
    world.up();
    world.subscribe();
    // Each batch until the loop takes a turn is more than may wait, as soon as the library has read two of it.
    world.await(
        [&] {
            for (int i = 0; i < 10; ++i) world.nats.publish("ws.www.news", "x");
            return world.witness.missed != 0;
        },
        "a gap");
    ck_assert(world.link->is_up());
}
END_TEST

START_TEST(a_stalled_nats_server_costs_room_and_nothing_else) {
    NatsWorld world;
    world.options.patience = 60s;
    world.up();
    world.nats.stalls = true;
    const std::string payload(1000, 'x');
    int count = 0;
    while (world.link->has_room()) {
        world.publish(payload);
        ++count;
    }
    ck_assert_int_gt(count, 500);
    ck_assert(!world.link->is_idle());
    world.nats.stalls = false;
    world.await([&] { return world.witness.confirmed == count; }, "all being confirmed");
    ck_assert_int_gt(world.witness.rooms, 0);
    ck_assert(world.link->has_room() && world.link->is_idle());
}
END_TEST

WEBSOCKET_TEST_SUITE(nats_link) {
    tcase_set_timeout(tests, websocket::test::kTestTimeout);
    tcase_add_test(tests, errors_of_a_nats_server_are_told_in_words_until_they_are_over);
    tcase_add_test(tests, a_nats_server_that_does_not_answer_is_tried_again);
    tcase_add_test(tests,
                   a_nats_server_that_stalls_in_a_handshake_is_tried_again_by_another_thread);
    tcase_add_test(tests, a_nats_server_that_is_not_there_is_left_for_the_next_one);
    tcase_add_test(tests, user_password_and_token_reach_the_nats_server_whatever_is_in_them);
    tcase_add_test(tests, what_is_too_large_for_the_nats_server_is_refused_and_told);
    tcase_add_test(tests, what_the_user_may_not_do_is_told_and_the_connection_stays);
    tcase_add_test(tests, messages_come_in_order_from_what_is_subscribed_to);
    tcase_add_test(tests, what_nobody_has_confirmed_is_told_when_the_nats_connection_ends);
    tcase_add_test(tests, a_nats_server_that_ends_may_have_kept_to_itself_what_it_confirmed);
    tcase_add_test(tests, more_than_may_wait_for_the_loop_is_missed_and_told);
    tcase_add_test(tests, a_stalled_nats_server_costs_room_and_nothing_else);
}
