// SPDX-License-Identifier: Apache-2.0
// Topics with history, with a broker in the test's own thread.
// One thread: nothing to see for ThreadSanitizer.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>

#include "bridge/big_endian.hpp"
#include "bridge/bridge.hpp"
#include "bridge/fake_redis.hpp"
#include "bridge/history_record.hpp"
#include "bridge/history_relay.hpp"
#include "bridge/local_end.hpp"
#include "engine/event_form.hpp"
#include "engine/service.hpp"
#include "hub/recording_bus.hpp"
#include "unit.hpp"

using namespace std::chrono_literals;
using websocket::bridge::append_number;
using websocket::bridge::Bridge;
using websocket::bridge::BridgeOptions;
using websocket::bridge::Envelope;
using websocket::bridge::HistoryRecord;
using websocket::bridge::HistoryRelay;
using websocket::bridge::LocalEnd;
using websocket::engine::SharedFrame;
using websocket::engine::text_bytes;
using websocket::hub::GapReason;
using websocket::hub::History;
using websocket::hub::HistoryExcerpt;
using websocket::hub::HistoryStore;
using websocket::hub::Position;
using websocket::hub::TopicKey;
using websocket::test::FakeRedis;
using websocket::test::RecordingBus;
using websocket::test::RecordingLog;

namespace {

constexpr std::uint64_t kHere = 7;  // an httpd
constexpr std::uint64_t kBridgeHere = 70;
constexpr std::uint64_t kThere = 8;
constexpr std::uint64_t kEpochOfBroker = 99;
const std::string kKept = std::string("\4=wwwkept");
constexpr const char* kHistoryChannel = "ws:!history";
using ToldGaps = decltype(RecordingBus::gaps);

/// One topic, as the scripts keep it.
struct KeptTopic {
    std::vector<std::string> records;
    std::map<std::string, std::string> numbers;  ///< of hosts

    std::string add(const std::string& body) {
        std::string record("\0\1", 2);
        append_number(record, kEpochOfBroker);
        record += std::to_string(records.size() + 1) + " 1000 " + body;
        records.push_back(record);
        return record;
    }
    [[nodiscard]] std::string read(std::size_t from) const {
        if (records.empty()) return "*0\r\n";
        std::string epoch;
        append_number(epoch, kEpochOfBroker);
        from = std::max<std::size_t>(from, 1);
        std::string text =
            "*" + std::to_string(3 + records.size() - std::min(from - 1, records.size())) + "\r\n" +
            FakeRedis::bulk(epoch) + FakeRedis::bulk(std::to_string(records.size())) +
            FakeRedis::bulk("1000");
        for (std::size_t i = from; i <= records.size(); ++i)
            text += FakeRedis::bulk(records[i - 1]);
        return text;
    }
};

struct RelayWorld {
    RelayWorld() {
        redis.answer = [this](const FakeRedis::Command& words) { return answer(words); };
    }
    ~RelayWorld() {
        bridge.reset();
        ::close(store.file());
        ::munmap(store.memory(), store.bytes());
    }
    RelayWorld(const RelayWorld&) = delete;
    RelayWorld& operator=(const RelayWorld&) = delete;

    std::optional<std::string> answer(const FakeRedis::Command& words) {
        if (words[0] == "SCRIPT") {
            return refuses
                       ? "-NOPERM no scripts\r\n"
                       : FakeRedis::bulk(words[2].find("XADD") != std::string::npos ? "p" : "r");
        }
        if (words[0] == "TIME") return "*2\r\n" + FakeRedis::bulk("1") + FakeRedis::bulk("0");
        if (words[0] == "SSCAN") {
            return "*2\r\n" + FakeRedis::bulk("0") +
                   (topic.records.empty() ? "*0\r\n" : "*1\r\n" + FakeRedis::bulk(kKept));
        }
        if (words[0] != "EVALSHA") return {};
        if (words[1] == "r") return topic.read(std::stoul(words[9]));
        if (!error.empty()) return error;
        if (!runs.insert(words[10]).second) return ":0\r\n";
        const std::string record = topic.add(words[14]);
        if (tells) redis.publish(kHistoryChannel, record);
        return ":1\r\n";
    }
    void begin() {
        options.url.hosts = {{"127.0.0.1", redis.port}};
        options.history = &history;
        options.next_number = [this] { return ++number; };
        options.has_all_until = &has_all_until;
        bridge = std::make_unique<Bridge>(reactor, options, bus, counts, log);
        bridge->start();
    }
    void ready() {
        begin();
        await_line("WS0640");
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
            ck_assert_msg(std::chrono::steady_clock::now() < limit, "waited in vain for %s", what);
            turn();
        }
    }
    void await_line(const char* text) {
        await([&] { return log.count(text) > 0; }, text);
    }
    void publish(std::string_view text) {
        const SharedFrame frame =
            SharedFrame::build(websocket::protocol::Opcode::text, text_bytes(text));
        websocket::hub::set_origin(frame, {5, 6});
        bridge->publish(kKept, frame);
        bridge->flush();
    }
    void publish_there(std::string_view text) {
        const Envelope envelope{Envelope::Type::text, kThere, ++number_there, {}, text};
        redis.publish(kHistoryChannel, topic.add(HistoryRecord::body(false, kKept, envelope)));
    }
    /// What the processes of this host were told, in order.
    [[nodiscard]] std::string told() const {
        std::string all;
        for (const std::string& frame : bus.published) all += frame.substr(2) + ' ';
        return all;
    }
    void await_told(const std::string& texts) {
        await([&] { return told().size() >= texts.size(); }, texts.c_str());
        ck_assert_msg(told() == texts, "told %s", told().c_str());
    }
    [[nodiscard]] HistoryExcerpt kept() {
        const TopicKey key = TopicKey::parse(kKept, {}).value();
        return history.read(key, *history.limits_of(key), {}).value();
    }
    [[nodiscard]] bool has_all_of_the_broker() {
        const HistoryExcerpt all = kept();
        return all.top == Position{kEpochOfBroker, topic.records.size()} &&
               all.frames.size() == topic.records.size();
    }

    BridgeOptions options = [] {
        BridgeOptions made;
        made.prefix = "ws:";
        made.host = kBridgeHere;
        made.httpd = kHere;
        made.first_pause = 1ms;
        return made;
    }();
    bool refuses = false;
    bool tells = true;  ///< what is kept
    std::string error;
    KeptTopic topic;
    std::set<std::string> runs;  ///< numbers
    std::uint64_t number = 0;
    std::atomic<std::uint64_t> has_all_until{0};
    std::uint64_t number_there = 0;
    HistoryStore store = HistoryStore::create(std::size_t{1} << 20);
    RecordingLog log;
    History history{
        store, {{"", websocket::hub::TopicPattern("kept"), {100, std::chrono::hours(1)}}}, log};
    websocket::net::Reactor reactor{1ms};
    FakeRedis redis;
    RecordingBus bus;
    websocket::hub::BridgeCounts counts{};
    std::unique_ptr<Bridge> bridge;
};

/// A broker that never comes.
struct NoLink final : websocket::bridge::BrokerLink {
    void start() override {}
    [[nodiscard]] bool is_up() const noexcept override { return false; }
    [[nodiscard]] bool has_room() const noexcept override { return false; }
    [[nodiscard]] bool is_idle() const noexcept override { return true; }
    void publish(std::string_view /*channel*/, std::string_view /*payload*/) override {}
    void subscribe(std::string_view /*channel*/) override {}
    void unsubscribe(std::string_view /*channel*/) override {}
    void ask_role() override {}
    void flush() override {}
    void drop(const std::string& /*why*/) override {}
};

}  // namespace

START_TEST(what_is_published_here_is_told_when_it_comes_back_and_kept) {
    RelayWorld world;
    world.bus.elsewhere = true;
    world.ready();
    world.tells = false;
    world.publish("1");
    world.await([&] { return world.counts.published.load() > 1; }, "the broker having it");
    ck_assert(world.told() == "");
    world.redis.publish(kHistoryChannel, world.topic.records[0]);
    world.await_told("1 ");
    world.tells = true;
    world.publish_there("2");
    world.publish("3");
    world.await_told("1 2 3 ");
    ck_assert(world.has_all_of_the_broker());
    ck_assert(websocket::hub::origin_of(world.kept().frames[0]) == (websocket::hub::Origin{5, 6}));
    ck_assert(!websocket::hub::origin_of(world.kept().frames[1]));
}
END_TEST

START_TEST(what_the_broker_does_not_tell_in_time_is_told_here_and_once) {
    RelayWorld world;
    world.bus.elsewhere = true;
    world.options.stall = 1ms;
    world.ready();
    world.redis.stalls = true;
    world.publish("1");
    world.publish("2");
    world.await_told("1 2 ");
    ck_assert(world.kept().top.epoch != kEpochOfBroker);
    world.redis.stalls = false;
    world.await([&] { return world.has_all_of_the_broker(); }, "the broker's epoch");
    world.publish_there("3");
    world.await_told("1 2 3 ");
    ck_assert(world.has_all_of_the_broker());
}
END_TEST

START_TEST(what_was_sent_when_the_connection_ended_is_sent_again_and_kept_and_told_once) {
    RelayWorld world;
    world.bus.elsewhere = true;
    world.ready();
    world.tells = false;  // the connection ends before they come back
    world.publish("1");
    world.publish("2");
    world.await([&] { return world.topic.records.size() == 2; }, "both being kept");
    world.redis.cut();
    world.tells = true;
    world.await([&] { return world.counts.connects.load() == 2; }, "the next connection");
    world.await([&] { return world.has_all_of_the_broker(); }, "the broker's epoch");
    world.publish("3");
    world.await_told("1 2 3 ");
    ck_assert_uint_eq(world.topic.records.size(), 3);
}
END_TEST

START_TEST(what_others_publish_while_there_is_no_connection_is_read) {
    RelayWorld world;
    world.bus.elsewhere = true;
    world.ready();
    world.publish_there("1");
    world.await_told("1 ");
    world.redis.cut();
    for (const char* text : {"2", "3"}) world.publish_there(text);
    world.await_told("1 2 3 ");
    world.redis.cut();
    world.publish("mine");
    world.publish_there("4");
    world.await([&] { return world.told().find('4') != std::string::npos; }, "the other one");
    world.await([&] { return world.has_all_of_the_broker(); }, "the broker's epoch");
    ck_assert(world.told() == "1 2 3 mine 4 ");
}
END_TEST

START_TEST(a_topic_that_begins_while_there_is_no_connection_is_told_from_its_beginning) {
    RelayWorld world;
    world.bus.elsewhere = true;
    world.ready();
    ck_assert_uint_eq(world.has_all_until.load(), 1000);
    world.redis.cut();
    for (const char* text : {"1", "2"}) world.publish_there(text);
    world.await_told("1 2 ");
    ck_assert(world.has_all_of_the_broker());
}
END_TEST

START_TEST(a_topic_that_begins_here_and_there_while_there_is_no_connection_is_told_whole) {
    RelayWorld world;
    world.bus.elsewhere = true;
    world.ready();
    world.redis.cut();
    world.publish("mine");
    world.publish_there("1");
    world.await_told("mine 1 ");
    world.await([&] { return world.topic.records.size() == 2 && world.has_all_of_the_broker(); },
                "the broker's epoch");
    world.publish_there("2");
    world.await_told("mine 1 2 ");
}
END_TEST

START_TEST(a_bridge_that_follows_another_tells_what_has_begun_meanwhile) {
    RelayWorld world;
    world.bus.elsewhere = true;
    world.has_all_until = 900;
    for (const char* text : {"1", "2"}) world.publish_there(text);
    world.ready();
    world.await_told("1 2 ");
    ck_assert(world.has_all_of_the_broker());
}
END_TEST

START_TEST(a_bridge_that_begins_takes_what_there_is_and_tells_nobody) {
    RelayWorld world;
    world.bus.elsewhere = true;
    for (const char* text : {"1", "2", "3"}) world.publish_there(text);
    world.ready();
    ck_assert(world.has_all_of_the_broker());
    ck_assert(world.told() == "");
}
END_TEST

START_TEST(a_broker_that_takes_no_scripts_leaves_messages_within_the_host) {
    RelayWorld world;
    world.bus.elsewhere = true;
    world.refuses = true;
    world.begin();
    world.await_line("WS0641");
    world.publish("1");
    world.await_told("1 ");
}
END_TEST

START_TEST(a_message_that_the_broker_refuses_is_told_here_and_counted) {
    RelayWorld world;
    world.bus.elsewhere = true;
    world.ready();
    world.error = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";
    world.publish("1");
    world.await_told("1 ");
    world.await_line("WS0641");
    world.await([&] { return world.counts.dropped.load() == 1; }, "it being counted");
}
END_TEST

START_TEST(a_broker_that_has_forgotten_the_scripts_is_given_them_again) {
    RelayWorld world;
    world.bus.elsewhere = true;
    world.ready();
    world.error = "-NOSCRIPT No matching script.\r\n";
    world.publish("1");
    world.await([&] { return world.counts.connects.load() >= 2; }, "the next connection");
    world.error.clear();
    world.await([&] { return world.has_all_of_the_broker(); }, "it being kept");
    world.await_told("1 ");
}
END_TEST

START_TEST(what_is_too_much_for_the_bridge_is_a_gap_for_this_host_where_there_is_a_history) {
    RelayWorld world;
    world.ready();
    LocalEnd end(world.reactor, 1);
    const SharedFrame frame = SharedFrame::build(websocket::protocol::Opcode::text, {});
    for (int i = 0; i < 3; ++i) {
        end.receive(TopicKey::parse(kKept, {}).value(), frame);
        end.receive(TopicKey::make("www", "other", {}).value(), frame);
    }
    ck_assert(end.pass_on(*world.bridge));
    ck_assert_uint_eq(world.counts.dropped.load(), 5);
    ck_assert(world.bus.gaps == ToldGaps({{kKept, GapReason::busy}}));
    ck_assert(end.on_gap(websocket::hub::kAllTopics, GapReason::busy));  // of another process
    ck_assert(end.pass_on(*world.bridge));
    ck_assert_uint_eq(world.bus.gaps.size(), 2);
    ck_assert(world.bus.gaps[1].first == websocket::hub::kAllTopics);
}
END_TEST

START_TEST(topics_that_come_and_go_while_there_is_no_broker_are_forgotten) {
    RelayWorld world;
    History all{world.store,
                {{"", websocket::hub::TopicPattern("**"), {100, std::chrono::hours(1)}}},
                world.log};
    NoLink none;
    HistoryRelay relay(world.reactor,
                       {.prefix = "ws:",
                        .host = kHere,
                        .next_number = [&] { return ++world.number; },
                        .has_all_until = &world.has_all_until,
                        .buffer = 1,
                        .topics = 10},
                       all, none, world.bus, world.counts, world.log);
    const SharedFrame frame = SharedFrame::build(websocket::protocol::Opcode::text, {});
    for (int i = 0; i < 1000; ++i) {
        const TopicKey key = TopicKey::make("www", std::to_string(i), {}).value();
        ck_assert(relay.publish(key.bytes(), frame));
        ck_assert_uint_le(relay.topics(), 10);
    }
    ck_assert_uint_eq(relay.take_dropped(), 999);
}
END_TEST

START_TEST(records_are_read_as_they_were_written_and_nothing_else_is) {
    const Envelope envelope{Envelope::Type::binary, kThere, 12, "event: x\n", "text"};
    KeptTopic topic;
    const std::string whole = topic.add(HistoryRecord::body(true, kKept, envelope));
    const auto record = HistoryRecord::of_payload(whole);
    ck_assert(record.has_value());
    ck_assert(record->at == (Position{kEpochOfBroker, 1}) && record->time == 1000);
    ck_assert(record->delivered && record->key == kKept && record->message.message == "text");
    ck_assert(record->message.fields == "event: x\n" && record->message.sequence == 12);
    for (std::size_t size = 0; size + 4 < whole.size(); ++size) {
        ck_assert(!HistoryRecord::of_payload(std::string_view(whole).substr(0, size)));
    }
    std::string other_version = whole;
    other_version[1] = '\2';
    ck_assert(!HistoryRecord::of_payload(other_version));
}
END_TEST

WEBSOCKET_TEST_SUITE(history_relay) {
    tcase_add_test(tests,
                   what_is_too_much_for_the_bridge_is_a_gap_for_this_host_where_there_is_a_history);
    tcase_add_test(tests, topics_that_come_and_go_while_there_is_no_broker_are_forgotten);
    tcase_add_test(tests, records_are_read_as_they_were_written_and_nothing_else_is);
    tcase_add_test(tests, what_is_published_here_is_told_when_it_comes_back_and_kept);
    tcase_add_test(tests, what_the_broker_does_not_tell_in_time_is_told_here_and_once);
    tcase_add_test(tests,
                   what_was_sent_when_the_connection_ended_is_sent_again_and_kept_and_told_once);
    tcase_add_test(tests, what_others_publish_while_there_is_no_connection_is_read);
    tcase_add_test(tests,
                   a_topic_that_begins_while_there_is_no_connection_is_told_from_its_beginning);
    tcase_add_test(tests,
                   a_topic_that_begins_here_and_there_while_there_is_no_connection_is_told_whole);
    tcase_add_test(tests, a_bridge_that_follows_another_tells_what_has_begun_meanwhile);
    tcase_add_test(tests, a_bridge_that_begins_takes_what_there_is_and_tells_nobody);
    tcase_add_test(tests, a_broker_that_takes_no_scripts_leaves_messages_within_the_host);
    tcase_add_test(tests, a_message_that_the_broker_refuses_is_told_here_and_counted);
    tcase_add_test(tests, a_broker_that_has_forgotten_the_scripts_is_given_them_again);
}
