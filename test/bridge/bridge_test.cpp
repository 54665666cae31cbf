// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "bridge/bridge.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bridge/fake_redis.hpp"
#include "engine/awaiting.hpp"
#include "hub/recording_bus.hpp"
#include "unit.hpp"

using namespace std::chrono_literals;
using websocket::bridge::Bridge;
using websocket::bridge::BridgeOptions;
using websocket::bridge::Envelope;
using websocket::bridge::Heartbeat;
using websocket::engine::SharedFrame;
using websocket::hub::GapReason;
using websocket::hub::kAllTopics;
using websocket::test::FakeRedis;
using websocket::test::RecordingBus;

namespace {

constexpr std::uint64_t kHost = 7;
constexpr std::uint64_t kOther = 8;
const std::string kKey = std::string("\4=wwwnews");
constexpr const char* kChannel = "ws:www:news";
using ToldGaps = decltype(RecordingBus::gaps);

struct Lines final : websocket::base::Log {
    void write(websocket::base::LogLevel /*level*/, std::string_view line) noexcept override {
        all += std::string(line) + '\n';
    }
    [[nodiscard]] bool has(std::string_view text) const {
        return all.find(text) != std::string::npos;
    }
    std::string all;
};

/// A bridge with its broker, in one thread.
struct World {
    BridgeOptions options = [] {
        BridgeOptions made;
        made.prefix = "ws:";
        made.host = kHost;
        made.first_pause = 1ms;
        made.unsubscribe_after = 1ms;
        return made;
    }();
    websocket::net::Reactor reactor{1ms};
    FakeRedis redis;
    RecordingBus bus;
    websocket::hub::BridgeCounts counts{};
    Lines log;
    std::unique_ptr<Bridge> bridge;

    void begin() {
        options.url.hosts = {{"127.0.0.1", redis.port}};
        bridge = std::make_unique<Bridge>(reactor, options, bus, counts, log);
        bridge->start();
    }
    void up() {
        begin();
        await([this] { return bridge->is_up(); }, "being up");
    }
    void turn() {
        reactor.wait(1ms);
        reactor.dispatch();
        reactor.fire_timers();
        redis.step();
    }
    template <class Condition>
    void await(Condition condition, const char* what) {
        const auto limit = std::chrono::steady_clock::now() + websocket::test::kPatience;
        while (!condition()) {
            ck_assert_msg(std::chrono::steady_clock::now() < limit, "waited in vain for %s\n%s",
                          what, log.all.c_str());
            turn();
        }
    }
    void await_line(const char* text) {
        await([&] { return log.has(text); }, text);
    }
    void want(bool wanted = true) {
        bridge->set_interest(1, kKey, wanted);
        bridge->flush();
        await([&] { return redis.has_subscriber(kChannel) == wanted; }, "the subscription");
    }
    void publish(std::string_view text) {
        bridge->publish(
            kKey,
            SharedFrame::build(websocket::protocol::Opcode::text,
                               {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}));
        bridge->flush();
    }
    void hear(std::uint64_t host, std::uint64_t sequence, std::string_view text) {
        const Envelope envelope{Envelope::Type::text, host, sequence, {}, text};
        ck_assert_int_eq(redis.publish(kChannel, envelope.to_payload()), 1);
    }
    /// Payloads that were published to the topic's channel.
    [[nodiscard]] std::vector<std::string> sent() const {
        std::vector<std::string> payloads;
        for (const auto& command : redis.commands) {
            if (command[0] == "PUBLISH" && command[1] == kChannel) payloads.push_back(command[2]);
        }
        return payloads;
    }
    void await_heard(std::size_t count) {
        await([&] { return bus.published.size() >= count; }, "messages");
        ck_assert_uint_eq(bus.published.size(), count);
    }
};

struct ServerError {
    const char* answer;
    const char* words;
};

}  // namespace

START_TEST(errors_of_the_server_are_told_in_words_until_they_are_over) {
    for (const ServerError& error : {
             ServerError{"-LOADING Redis is loading the dataset in memory\r\n",
                         "it still reads its data"},
             {"-MASTERDOWN Link with MASTER is down\r\n", "whose master is down"},
             {"-NOAUTH Authentication required.\r\n", "it wants a password"},
             {"-WRONGPASS invalid username-password pair\r\n", "no such user with this password"},
             {"-MOVED 1 10.0.0.1:6379\r\n", "Redis Cluster"},
             {"*3\r\n$5\r\nslave\r\n$1\r\na\r\n:1\r\n", "it is a replica"},
             {"hello, this is no Redis\r\n", "not the protocol of Redis"},
             {"*2147483647\r\n", "not the protocol of Redis"},
         }) {
        World world;
        world.redis.answer = [&](const FakeRedis::Command& command) -> std::optional<std::string> {
            if (command[0] == "ROLE") return error.answer;
            return {};
        };
        world.begin();
        world.await_line(error.words);
        ck_assert(world.log.has("WS0602"));
        world.await([&] { return world.redis.accepted >= 6; }, "two more tries");
        world.redis.answer = nullptr;
        world.await([&] { return world.bridge->is_up(); }, "being up");
    }
}
END_TEST

START_TEST(a_server_that_does_not_answer_is_tried_again) {
    World world;
    world.options.patience = 20ms;
    world.redis.stalls = true;
    world.begin();
    world.await_line("it does not answer");
    world.redis.stalls = false;
    world.options.patience = 20s;
    world.await([&] { return world.bridge->is_up(); }, "being up");
}
END_TEST

START_TEST(answers_that_nobody_asked_for_end_the_connection) {
    World world;
    world.redis.answer = [](const FakeRedis::Command& command) -> std::optional<std::string> {
        if (command[0] == "ROLE") return "*1\r\n$6\r\nmaster\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n";
        return {};
    };
    world.begin();
    world.await_line("nobody has asked");
}
END_TEST

START_TEST(a_heartbeat_that_does_not_come_back_ends_the_connection) {
    World world;
    world.options.heartbeat = 5ms;
    world.options.silence = 30ms;
    world.redis.echoes = false;
    world.begin();
    world.await_line("does not come back");
    world.redis.echoes = true;
    world.await([&] { return world.counts.round_trip_us.load() > 0; }, "a heartbeat");
}
END_TEST

START_TEST(a_server_that_becomes_a_replica_is_left) {
    World world;
    world.options.heartbeat = 5ms;
    world.up();
    world.redis.answer = [](const FakeRedis::Command& command) -> std::optional<std::string> {
        if (command[0] == "ROLE") return "*1\r\n$5\r\nslave\r\n";
        return {};
    };
    world.await_line("it is a replica");
}
END_TEST

START_TEST(what_is_published_while_there_is_no_broker_goes_out_later_in_order) {
    World world;
    world.redis.stalls = true;
    world.begin();
    for (int i = 0; i < 100; ++i) world.publish(std::to_string(i));
    ck_assert_uint_gt(world.counts.queued_bytes.load(), 0);
    world.redis.stalls = false;
    world.await([&] { return world.counts.published.load() >= 101; }, "all being published");
    const auto sent = world.sent();
    ck_assert_uint_eq(sent.size(), 100);
    for (std::size_t i = 0; i < sent.size(); ++i) {
        const auto envelope = Envelope::of_payload(sent[i]);
        ck_assert(envelope && envelope->sequence == i + 1 && envelope->host == kHost);
        ck_assert(envelope->message == std::to_string(i));
    }
    ck_assert_uint_eq(world.counts.dropped.load(), 0);
}
END_TEST

START_TEST(what_is_too_much_is_dropped_counted_and_told_to_others) {
    World world;
    world.options.buffer = 10'000;
    world.options.heartbeat = 5ms;
    world.redis.stalls = true;
    world.begin();
    for (int i = 0; i < 100; ++i) world.publish(std::string(900, 'x'));
    const std::uint64_t dropped = world.counts.dropped.load();
    ck_assert_uint_ge(dropped, 90);
    ck_assert_uint_le(world.counts.queued_bytes.load(), 10'000);
    world.redis.stalls = false;
    world.await([&] { return world.sent().size() == 100 - dropped; }, "the rest");
    const auto last = Envelope::of_payload(world.sent().back());
    ck_assert(last && last->sequence == 100);
    const auto told = [&] {
        for (const auto& command : world.redis.commands) {
            const auto beat = command[0] == "PUBLISH" && command[1] == "ws:!hosts"
                                  ? Envelope::of_payload(command[2])
                                  : std::nullopt;
            if (beat && Heartbeat::of_message(beat->message)->dropped == dropped) return true;
        }
        return false;
    };
    world.await(told, "a heartbeat that tells");
    world.await_line("WS0603");
}
END_TEST

START_TEST(what_nobody_has_confirmed_when_the_connection_ends_counts_as_lost) {
    World world;
    world.up();
    world.redis.stalls = true;
    world.publish("perhaps");
    world.redis.cut();
    world.redis.stalls = false;
    world.await([&] { return world.counts.dropped.load() >= 1; }, "the loss");
    world.await([&] { return world.counts.connects.load() == 2; }, "the next connection");
    ck_assert(world.sent().empty());  // it is not sent twice
    world.await_line("WS0604");
    ck_assert(world.bus.gaps == ToldGaps({{std::string(kAllTopics), GapReason::reconnected}}));
}
END_TEST

START_TEST(own_messages_are_known_and_holes_of_others_are_told) {
    World world;
    world.up();
    world.want();
    world.hear(kHost, 1, "own");
    world.hear(kOther, 5, "a");
    world.hear(kOther, 6, "b");
    world.await_heard(2);
    ck_assert_uint_eq(world.counts.gaps.load(), 0);
    ck_assert(world.bus.gaps.empty());
    world.hear(kOther, 8, "c");
    world.await_heard(3);
    ck_assert_uint_eq(world.counts.gaps.load(), 1);
    ck_assert(world.bus.gaps == ToldGaps({{kKey, GapReason::hole}}));
    ck_assert(world.log.has("WS0604"));
    world.redis.publish(kChannel, "plain");
    world.redis.publish(kChannel, "\xff");
    world.await_heard(5);
    ck_assert_uint_eq(world.counts.gaps.load(), 1);
    ck_assert_uint_eq(world.counts.received.load(), 5);
}
END_TEST

START_TEST(a_new_connection_is_a_gap_when_all_is_subscribed_to_or_cannot_be_known_to_be) {
    for (const bool allowed : {true, false}) {
        World world;
        if (!allowed) world.options.heartbeat = 1ms;
        world.up();
        world.want();
        world.redis.answer = [&](const FakeRedis::Command& command) -> std::optional<std::string> {
            const bool marker = command.size() > 1 && command[1] == "ws:!hosts-7";
            if (marker && command[0] == "SUBSCRIBE") {
                ck_assert(world.redis.has_subscriber(kChannel));  // it is the last one
                ck_assert(world.bus.gaps.empty());
                if (!allowed) return "-NOPERM no access to the channel\r\n";
            }
            return {};
        };
        world.redis.cut();
        world.await([&] { return !world.bus.gaps.empty(); }, "the gap");
        ck_assert(world.bus.gaps == ToldGaps({{std::string(kAllTopics), GapReason::reconnected}}));
        world.bridge->flush();
        if (allowed) {
            world.await([&] { return !world.redis.has_subscriber("ws:!hosts-7"); }, "its end");
        }
    }
}
END_TEST

START_TEST(what_does_not_fit_within_this_host_is_a_gap) {
    World world;
    world.up();
    world.want();
    world.bus.result = websocket::hub::BusResult::full;
    world.redis.publish(kChannel, "too much");
    world.await([&] { return !world.bus.gaps.empty(); }, "the gap");
    ck_assert(world.bus.gaps == ToldGaps({{kKey, GapReason::busy}}));
}
END_TEST

START_TEST(another_host_that_has_dropped_something_is_a_gap) {
    World world;
    world.up();
    std::uint64_t number = 1000;
    const auto beat = [&](std::uint64_t dropped) {
        const std::string message = Heartbeat{dropped}.to_message();
        const Envelope envelope{Envelope::Type::heartbeat, kOther, ++number, {}, message};
        world.redis.publish("ws:!hosts", envelope.to_payload());
    };
    beat(3);  // before we knew it
    beat(3);
    beat(4);
    world.await([&] { return world.counts.gaps.load() == 1; }, "the gap");
    ck_assert(world.bus.gaps == ToldGaps({{std::string(kAllTopics), GapReason::host_dropped}}));
    world.redis.publish("ws:!hosts", "nonsense");
    world.await([&] { return world.counts.refused.load() == 1; }, "the refusal");
}
END_TEST

START_TEST(a_bridge_that_follows_another_one_is_a_gap_for_others) {
    World after;
    after.counts.connects.store(1);
    after.up();
    World world;
    world.up();
    for (const auto& command : after.redis.commands) {
        if (command[0] == "PUBLISH" && command[1] == "ws:!hosts") {
            auto envelope = Envelope::of_payload(command[2]).value();
            ck_assert_uint_eq(Heartbeat::of_message(envelope.message)->dropped, 1);
            envelope.host = kOther;
            world.redis.publish("ws:!hosts", envelope.to_payload());
        }
    }
    world.await([&] { return world.counts.gaps.load() == 1; }, "the gap");
    ck_assert(world.bus.gaps == ToldGaps({{std::string(kAllTopics), GapReason::host_dropped}}));
    ck_assert_uint_eq(after.counts.dropped.load(), 0);
}
END_TEST

START_TEST(a_heartbeat_of_another_host_that_is_missing_is_a_gap) {
    World world;
    world.up();
    const std::string message = Heartbeat{0}.to_message();
    for (const std::uint64_t number : {7U, 8U, 1U, 2U, 4U}) {
        const Envelope envelope{Envelope::Type::heartbeat, kOther, number, {}, message};
        world.redis.publish("ws:!hosts", envelope.to_payload());
    }
    world.await([&] { return world.counts.gaps.load() == 1; }, "the gap");
    ck_assert(world.bus.gaps == ToldGaps({{std::string(kAllTopics), GapReason::hole}}));
}
END_TEST

START_TEST(what_is_not_understood_is_refused_and_told) {
    World world;
    world.up();
    world.want();
    for (const std::string& wrong : {std::string(1, '\0'), std::string(30, '\0')}) {
        world.redis.publish(kChannel, wrong);
    }
    world.redis.publish("ws:nobody", "not asked for");
    world.redis.publish(kChannel, "good");
    world.await_heard(1);
    ck_assert_uint_eq(world.counts.refused.load(), 2);
    ck_assert(world.log.has("WS0605"));
}
END_TEST

START_TEST(what_the_processes_want_is_subscribed_to_also_by_the_next_connection) {
    World world;
    world.up();
    world.want();
    world.redis.cut();
    world.await([&] { return world.counts.connects.load() == 2; }, "the next connection");
    world.await([&] { return world.redis.has_subscriber(kChannel); }, "the subscription");
    world.bridge->drop_link(1);
    world.await([&] { return !world.redis.has_subscriber(kChannel); }, "its end");
}
END_TEST

START_TEST(a_channel_that_the_acl_forbids_costs_the_others_nothing) {
    World world;
    world.up();
    world.redis.answer = [](const FakeRedis::Command& command) -> std::optional<std::string> {
        if (command[1 % command.size()] == "ws:www:secret")
            return "-NOPERM no access to the channel\r\n";
        return {};
    };
    world.bridge->set_interest(1, std::string("\4=wwwsecret"), true);
    world.want();
    world.await_line("its ACL does not let");
    ck_assert(world.bridge->is_up());
}
END_TEST

WEBSOCKET_TEST_SUITE(bridge) {
    tcase_set_timeout(tests, websocket::test::kTestTimeout);
    tcase_add_test(tests, errors_of_the_server_are_told_in_words_until_they_are_over);
    tcase_add_test(tests, a_server_that_does_not_answer_is_tried_again);
    tcase_add_test(tests, answers_that_nobody_asked_for_end_the_connection);
    tcase_add_test(tests, a_heartbeat_that_does_not_come_back_ends_the_connection);
    tcase_add_test(tests, a_server_that_becomes_a_replica_is_left);
    tcase_add_test(tests, what_is_published_while_there_is_no_broker_goes_out_later_in_order);
    tcase_add_test(tests, what_is_too_much_is_dropped_counted_and_told_to_others);
    tcase_add_test(tests, what_nobody_has_confirmed_when_the_connection_ends_counts_as_lost);
    tcase_add_test(tests, own_messages_are_known_and_holes_of_others_are_told);
    tcase_add_test(tests,
                   a_new_connection_is_a_gap_when_all_is_subscribed_to_or_cannot_be_known_to_be);
    tcase_add_test(tests, what_does_not_fit_within_this_host_is_a_gap);
    tcase_add_test(tests, another_host_that_has_dropped_something_is_a_gap);
    tcase_add_test(tests, a_bridge_that_follows_another_one_is_a_gap_for_others);
    tcase_add_test(tests, a_heartbeat_of_another_host_that_is_missing_is_a_gap);
    tcase_add_test(tests, what_is_not_understood_is_refused_and_told);
    tcase_add_test(tests, what_the_processes_want_is_subscribed_to_also_by_the_next_connection);
    tcase_add_test(tests, a_channel_that_the_acl_forbids_costs_the_others_nothing);
}
