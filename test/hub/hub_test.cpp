// SPDX-License-Identifier: Apache-2.0
// Topics inside one process; the bus is a stand-in.
#include "hub/hub.hpp"

#include <sys/mman.h>

#include <array>
#include <atomic>
#include <map>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "engine/service.hpp"
#include "failing_allocator.hpp"
#include "hub/recording_bus.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::engine::SharedFrame;
using websocket::hub::BusResult;
using websocket::hub::Drop;
using websocket::hub::Hub;
using websocket::hub::HubOptions;
using websocket::hub::TopicCounts;
using websocket::hub::TopicKey;
using websocket::hub::TopicQuota;
using websocket::hub::TopicResult;
using websocket::protocol::MessageType;

namespace {

/// Is not interested.
struct DeafListener final : websocket::hub::TopicListener {
    bool take(const SharedFrame& /*frame*/) noexcept override { return true; }
};

/// Hears of gaps, as far as there is room.
struct GapListener final : websocket::hub::TopicListener {
    bool take(const SharedFrame& frame) noexcept override {
        const ForTheTest memory;
        if (full) return false;
        heard.emplace_back(frame.payload().begin(), frame.payload().end());
        return true;
    }
    bool full = false;
    std::vector<std::string> heard;
};

struct Town {
    explicit Town(const websocket::engine::EngineOptions& how = {}, HubOptions options = {})
        : service(how), hub(service.engine(), bus, service.log, with_counts(options)) {}
    ~Town() { service.stop(); }
    Town(const Town&) = delete;
    Town& operator=(const Town&) = delete;

    Service service;
    RecordingBus bus;
    TopicQuota quota;  ///< of all connections
    std::array<TopicCounts::Count, 4> counts{};
    TopicCounts shown{counts[0], counts[1], counts[2], counts[3]};
    Hub hub;

    [[nodiscard]] HubOptions with_counts(HubOptions options) {
        options.counts = &shown;
        return options;
    }
    [[nodiscard]] Client connect(Behaviour behaviour = {}, const Wiring& wiring = {}) {
        Client client = service.connect(std::move(behaviour), wiring);
        client.await_open();
        return client;
    }
    TopicResult subscribe(const Client& client, std::string_view topic,
                          std::string_view scope = "s") {
        return hub.subscribe(scope, topic, client.id, quota);
    }
    [[nodiscard]] Client subscriber(std::string_view topic) {
        Client client = connect();
        ck_assert(subscribe(client, topic) == TopicResult::ok);
        return client;
    }
    TopicResult publish(std::string_view topic, std::string_view text, ConnectionId except = {},
                        std::string_view scope = "s") {
        return hub.publish(scope, topic, MessageType::text, bytes(text), except);
    }
    void await_topics(int count) {
        await_quietly([&] { return shown.topics == count; }, "topics to go");
        ck_assert_int_eq(static_cast<int>(bus.interest.get().size()), count);
    }
};

}  // namespace

START_TEST(subscribers_of_the_topic_get_it_and_nobody_else) {
    Town town({.loops = 2});
    std::vector<Client> news;
    for (int i = 0; i < 4; ++i) news.push_back(town.subscriber("news"));
    Client weather = town.subscriber("weather");
    ck_assert(town.publish("news", "to all") == TopicResult::ok);
    ck_assert(town.publish("news", "to most", news[1].id) == TopicResult::ok);
    ck_assert(town.publish("weather", "rain") == TopicResult::ok);
    ck_assert(town.publish("nobody's", "lost") == TopicResult::ok);
    weather.peer.expect_text("rain");
    for (std::size_t i = 0; i < news.size(); ++i) {
        news[i].peer.expect_text("to all");
        if (i != 1) news[i].peer.expect_text("to most");
    }
    ck_assert(town.publish("news", "end") == TopicResult::ok);
    for (Client& client : news) client.peer.expect_text("end");
}
END_TEST

START_TEST(binary_messages_are_binary) {
    Town town;
    Client client = town.subscriber("t");
    const std::string sent("\0\xff", 2);
    ck_assert(town.hub.publish("s", "t", MessageType::binary, bytes(sent)) == TopicResult::ok);
    client.peer.expect(Opcode::binary, sent);
    ck_assert(town.hub.publish("s", "t", MessageType::binary, {}) == TopicResult::ok);
    client.peer.expect(Opcode::binary, "");
}
END_TEST

START_TEST(equal_names_in_different_scopes_are_different_topics) {
    Town town;
    Client here = town.connect();
    Client there = town.connect();
    ck_assert(town.subscribe(here, "t", "a") == TopicResult::ok);
    ck_assert(town.subscribe(there, "t", "b") == TopicResult::ok);
    ck_assert(town.publish("t", "for a", {}, "a") == TopicResult::ok);
    ck_assert(town.publish("t", "for b", {}, "b") == TopicResult::ok);
    ck_assert(town.publish("t", "for nobody", {}, "") == TopicResult::ok);
    here.peer.expect_text("for a");
    there.peer.expect_text("for b");
}
END_TEST

START_TEST(subscribing_twice_is_subscribing_once) {
    Town town;
    Client client = town.subscriber("t");
    ck_assert(town.subscribe(client, "t") == TopicResult::ok);
    ck_assert_uint_eq(town.shown.subscriptions, 1);
    ck_assert(town.publish("t", "1") == TopicResult::ok);
    ck_assert(town.publish("t", "2") == TopicResult::ok);
    client.peer.expect_text("1");
    client.peer.expect_text("2");
    town.hub.unsubscribe("s", "t", client.id);
    town.hub.unsubscribe("s", "t", client.id);
    ck_assert_uint_eq(town.shown.topics, 0);
}
END_TEST

START_TEST(who_unsubscribes_gets_what_came_before_and_nothing_after) {
    Town town;
    Client client = town.subscriber("a");
    ck_assert(town.subscribe(client, "b") == TopicResult::ok);
    ck_assert(town.publish("a", "1") == TopicResult::ok);
    town.hub.unsubscribe("s", "a", client.id);
    ck_assert(town.publish("a", "2") == TopicResult::ok);
    ck_assert(town.publish("b", "3") == TopicResult::ok);
    town.hub.unsubscribe_all(client.id);
    ck_assert(town.publish("b", "4") == TopicResult::ok);
    ck_assert(town.subscribe(client, "a") == TopicResult::ok);
    ck_assert(town.publish("a", "5") == TopicResult::ok);
    for (const char* text : {"1", "3", "5"}) client.peer.expect_text(text);
}
END_TEST

START_TEST(a_topic_vanishes_with_its_last_subscriber_however_that_ends) {
    Town town({.loops = 2});
    Client leaves = town.subscriber("t");
    Client resets = town.subscriber("t");
    Client closes = town.subscriber("t");
    ck_assert(town.subscribe(closes, "other") == TopicResult::ok);
    town.await_topics(2);
    town.hub.unsubscribe("s", "t", leaves.id);
    resets.peer.reset();
    closes.peer.send_close(1000);
    town.await_topics(0);
    ck_assert_uint_eq(town.shown.subscriptions, 0);
    ck_assert(town.subscribe(resets, "t") == TopicResult::gone);
    ck_assert(town.hub.subscribe("s", "t", {}, town.quota) == TopicResult::gone);
    town.await_topics(0);
}
END_TEST

START_TEST(a_connection_that_is_not_served_yet_keeps_no_subscription) {
    Town town;
    const Client other = town.connect();
    {
        const Engine::Place place = town.service.reserve();
        static_cast<void>(town.hub.subscribe("s", "t", place.id(), town.quota));
        town.await_topics(0);
    }
}
END_TEST

START_TEST(names_have_1_to_255_bytes) {
    Town town;
    const Client client = town.connect();
    const std::string too_long(256, 'x');
    for (const std::string& bad : {std::string(), too_long}) {
        ck_assert(town.subscribe(client, bad) == TopicResult::bad_name);
        ck_assert(town.publish(bad, "x") == TopicResult::bad_name);
        town.hub.unsubscribe("s", bad, client.id);
    }
    ck_assert(town.subscribe(client, "t", too_long) == TopicResult::bad_name);
    ck_assert(town.publish("t", "x", {}, too_long) == TopicResult::bad_name);
    ck_assert(town.subscribe(client, std::string(255, 'x')) == TopicResult::ok);
    ck_assert(town.subscribe(client, std::string("\0\n\xff", 3)) == TopicResult::ok);
}
END_TEST

START_TEST(a_message_of_256_mib_is_too_big) {
    Town town;
    Client client = town.subscriber("t");
    // Never touched, so that it is no memory.
    constexpr std::size_t kHuge = std::size_t{1} << 28;
    void* const huge = ::mmap(nullptr, kHuge, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(huge != MAP_FAILED);
    const std::span payload(static_cast<const std::uint8_t*>(huge), kHuge);
    ck_assert(town.hub.publish("s", "t", MessageType::binary, payload) == TopicResult::too_big);
    ::munmap(huge, kHuge);
    const std::string large((kThreadSanitizer ? 2U : 16U) << 20, 'x');
    town.hub.unsubscribe_all(client.id);
    Client roomy = town.subscriber("t");
    ck_assert(town.publish("t", large) == TopicResult::ok);
    roomy.peer.expect_text(large);
}
END_TEST

START_TEST(a_client_cannot_subscribe_without_end) {
    Town town({}, {.max_topics = 5});
    town.quota = {.most = 5, .most_of_connection = 3};
    Client first = town.connect();
    Client second = town.connect();
    for (const char* topic : {"1", "2", "3"}) {
        ck_assert(town.subscribe(first, topic) == TopicResult::ok);
    }
    ck_assert(town.subscribe(first, "4") == TopicResult::too_many_subscriptions);
    ck_assert(town.subscribe(first, "1") == TopicResult::ok);
    for (const char* topic : {"4", "5"}) {
        ck_assert(town.subscribe(second, topic) == TopicResult::ok);
    }
    ck_assert(town.subscribe(second, "6") == TopicResult::too_many_topics);
    town.service.log.await("WS0507");
    ck_assert(town.subscribe(second, "1") == TopicResult::ok);
    ck_assert_uint_eq(town.shown.topics, 5);
    first.peer.reset();
    town.await_topics(3);
    town.hub.unsubscribe("s", "4", second.id);
    ck_assert(town.subscribe(second, "6") == TopicResult::ok);
}
END_TEST

START_TEST(one_location_cannot_take_the_topics_of_all) {
    Town town({}, {.max_topics = 8});
    Client greedy = town.connect();
    Client other = town.connect();
    TopicQuota quota;  // three quarters
    TopicQuota others;
    const auto subscribe = [&](const Client& client, std::string_view topic, TopicQuota& whose) {
        return town.hub.subscribe("s", topic, client.id, whose);
    };
    const auto listener = std::make_shared<DeafListener>();
    for (const char* topic : {"1", "2", "3", "4"}) {
        ck_assert(subscribe(greedy, topic, quota) == TopicResult::ok);
    }
    for (const char* topic : {"4", "5", "6"}) {
        ck_assert(town.hub.listen("s", topic, listener, &quota) == TopicResult::ok);
    }
    ck_assert(subscribe(greedy, "7", quota) == TopicResult::too_many_topics);
    ck_assert(town.hub.listen("s", "7", listener, &quota) == TopicResult::too_many_topics);
    town.service.log.await("WS0508");
    ck_assert(subscribe(other, "7", others) == TopicResult::ok);
    ck_assert(subscribe(other, "1", others) == TopicResult::ok);
    ck_assert(subscribe(greedy, "7", quota) == TopicResult::ok);

    greedy.peer.reset();  // of its topics, the other's and those that are listened to remain
    town.await_topics(5);
    ck_assert(subscribe(other, "8", quota) == TopicResult::ok);
    ck_assert(subscribe(other, "9", quota) == TopicResult::ok);
    ck_assert(subscribe(other, "10", quota) == TopicResult::too_many_topics);
    town.hub.unsubscribe_all(other.id);
    for (const char* topic : {"4", "5", "6"}) town.hub.ignore("s", topic, *listener);
    ck_assert_uint_eq(quota.used, 0);
    ck_assert_uint_eq(others.used, 0);
}
END_TEST

START_TEST(a_slow_subscriber_is_counted_and_delays_nobody) {
    Town town;
    town.service.options.send_buffer = 100'000;
    Client slow = town.connect({}, {.socket_buffer = 8'000});
    ck_assert(town.subscribe(slow, "t") == TopicResult::ok);
    Client quick = town.subscriber("t");
    const std::string text(50'000, 'x');
    for (int i = 0; i < 200; ++i) {
        ck_assert(town.publish("t", text) == TopicResult::ok);
        quick.peer.expect_text(text);
    }
    ck_assert_uint_gt(town.hub.drops().total(Drop::slow_subscriber), 0);
    town.service.log.await("WS0503");
}
END_TEST

START_TEST(a_publisher_is_told_when_a_loop_has_no_room) {
    Door inside;
    Door go_on;
    Town town({.broadcast_buffer = 10'000});
    const Client subscriber = town.subscriber("t");
    Client busy = town.connect({.on_message = [&](ConnectionId, Message) {
        inside.open();
        static_cast<void>(go_on.passed());
        return Flow::more;
    }});
    busy.peer.send_text("stop the loop");
    inside.await("the loop to stop");
    while (town.publish("t", std::string(1'000, 'x')) == TopicResult::ok) {
    }
    ck_assert(town.publish("t", "x") == TopicResult::full);
    ck_assert_uint_eq(town.hub.drops().total(Drop::busy_loop), 2);
    go_on.open();
}
END_TEST

START_TEST(what_others_want_goes_over_the_bus_and_what_comes_stays_here) {
    Town town;
    Client client = town.subscriber("t");
    ck_assert(town.publish("t", "here only") == TopicResult::ok);
    town.bus.elsewhere = true;
    ck_assert(town.publish("t", "here and there", client.id) == TopicResult::ok);
    ck_assert(town.publish("nobody here", "there only") == TopicResult::ok);
    const auto key = TopicKey::make("s", "t", {});
    const auto other = TopicKey::make("s", "unknown", {});
    town.bus.to->receive(*key, SharedFrame::build(Opcode::text, bytes("from there")));
    town.bus.to->receive(*other, SharedFrame::build(Opcode::text, bytes("unwanted")));
    ck_assert(town.bus.published ==
              std::vector<std::string>({"\x81\x0ehere and there", "\x81\x0athere only"}));
    client.peer.expect_text("here only");
    client.peer.expect_text("from there");
}
END_TEST

START_TEST(a_topic_whose_name_begins_with_a_nul_is_of_this_process_alone) {
    constexpr std::string_view kName("\0own", 4);
    Town town;
    town.bus.elsewhere = true;
    town.bus.available = false;  // nobody asks it
    Client one = town.subscriber(kName);
    const auto listener = std::make_shared<DeafListener>();
    ck_assert(town.hub.listen("s", kName, listener) == TopicResult::ok);
    ck_assert(town.publish(kName, "x") == TopicResult::ok);
    one.peer.expect_text("x");
    ck_assert(town.bus.published.empty());
    ck_assert(town.bus.interest.get().empty());
    town.hub.ignore("s", kName, *listener);
    town.hub.unsubscribe("s", kName, one.id);
    ck_assert_int_eq(static_cast<int>(town.shown.topics), 0);
}
END_TEST

START_TEST(
    gaps_are_heard_by_who_listens_for_them_in_the_scope_and_come_again_where_there_is_no_room) {
    using websocket::hub::GapReason;
    Town town;
    const auto here = std::make_shared<GapListener>();
    const auto elsewhere = std::make_shared<GapListener>();
    const auto listen = [&](std::string_view scope, const std::shared_ptr<GapListener>& one) {
        ck_assert(town.hub.listen(Hub::gap_scope(scope), Hub::gap_topic(), one) == TopicResult::ok);
    };
    listen("s", here);
    listen("other", elsewhere);
    ck_assert(town.bus.interest.get().empty());
    const Client client = town.subscriber("t");
    websocket::hub::Bus::Receiver& receiver = *town.bus.to;
    const std::string wanted = *town.bus.interest.get().begin();
    ck_assert(receiver.on_gap(wanted, GapReason::hole));
    ck_assert(receiver.on_gap("\1snobody here wants this", GapReason::hole));
    ck_assert(receiver.on_gap("", GapReason::hole));
    ck_assert(here->heard == std::vector<std::string>{"\2t"});
    ck_assert(elsewhere->heard.empty());
    here->full = true;
    ck_assert(!receiver.on_gap(wanted, GapReason::hole));
    ck_assert(!receiver.on_gap(websocket::hub::kAllTopics, GapReason::reconnected));
    here->full = false;
    ck_assert(receiver.on_gap(websocket::hub::kAllTopics, GapReason::reconnected));
    ck_assert(here->heard.back() == "\1");
    ck_assert(elsewhere->heard.back() == "\1");
    const std::size_t failures = fail_each_allocation(
        [&] { static_cast<void>(receiver.on_gap(wanted, GapReason::busy)); },
        [&](bool failed) { ck_assert(failed || here->heard.back() == "\4t"); });
    ck_assert_uint_gt(failures, 0);
    town.hub.ignore(Hub::gap_scope("s"), Hub::gap_topic(), *here);
    town.hub.ignore(Hub::gap_scope("other"), Hub::gap_topic(), *elsewhere);
}
END_TEST

START_TEST(subscribers_are_counted_and_those_that_listeners_stand_for) {
    Town town;
    const auto shown = [&] { return town.bus.shown.get().begin()->second; };
    Client one = town.subscriber("t");
    const auto listener = std::make_shared<DeafListener>();
    ck_assert(town.hub.listen("s", "t", listener) == TopicResult::ok);
    {
        Client other = town.subscriber("t");
        ck_assert_uint_eq(town.hub.subscribers("s", "t"), 2);
        ck_assert_uint_eq(shown(), 2);
        town.hub.unsubscribe("s", "t", other.id);
    }
    town.hub.stand_for("s", "t", *listener, 10);
    town.hub.stand_for("s", "no such topic", *listener, 10);
    DeafListener stranger;
    town.hub.stand_for("s", "t", stranger, 10);
    town.bus.subscribers_elsewhere = 100;
    ck_assert_uint_eq(town.hub.subscribers("s", "t"), 111);
    ck_assert_uint_eq(shown(), 11);
    town.hub.ignore("s", "t", *listener);
    ck_assert_uint_eq(shown(), 1);
    town.hub.unsubscribe("s", "t", one.id);
    ck_assert_uint_eq(shown(), 0);
    town.bus.subscribers_elsewhere = 0;
    ck_assert_uint_eq(town.hub.subscribers("s", "t"), 0);
    ck_assert_uint_eq(town.hub.subscribers("s", ""), 0);
}
END_TEST

START_TEST(a_publisher_is_told_when_the_bus_cannot) {
    Town town;
    Client client = town.subscriber("t");
    town.bus.elsewhere = true;
    town.bus.result = BusResult::full;
    ck_assert(town.publish("t", "1") == TopicResult::full);
    town.bus.result = BusResult::no_memory;
    ck_assert(town.publish("t", "2") == TopicResult::no_memory);
    town.bus.result = BusResult::unavailable;
    ck_assert(town.publish("t", "3") == TopicResult::unavailable);
    ck_assert_uint_eq(town.hub.drops().total(Drop::busy_process), 1);
    ck_assert_uint_eq(town.hub.drops().total(Drop::no_resources), 2);
    for (const char* text : {"1", "2", "3"}) client.peer.expect_text(text);
}
END_TEST

START_TEST(without_the_bus_there_are_no_subscriptions) {
    Town town;
    const Client client = town.connect();
    town.bus.available = false;
    ck_assert(town.subscribe(client, "t") == TopicResult::unavailable);
    ck_assert_uint_eq(town.shown.topics, 0);
    town.bus.available = true;
    ck_assert(town.subscribe(client, "t") == TopicResult::ok);
}
END_TEST

START_TEST(a_loop_may_subscribe_publish_and_unsubscribe) {
    Town town;
    Client listener = town.subscriber("t");
    Client speaker = town.connect({.on_message = [&](ConnectionId id, Message) {
        static_cast<void>(town.hub.subscribe("s", "t", id, town.quota));
        static_cast<void>(town.publish("t", "hello"));
        static_cast<void>(town.service.send(id, "alone"));
        town.hub.unsubscribe_all(id);
        static_cast<void>(town.publish("t", "again"));
        return Flow::more;
    }});
    for (int i = 0; i < 100; ++i) {
        speaker.peer.send_text("go");
        speaker.peer.expect_text("hello");
        speaker.peer.expect_text("alone");
        listener.peer.expect_text("hello");
        listener.peer.expect_text("again");
    }
}
END_TEST

START_TEST(a_goodbye_published_at_the_end_of_a_connection_reaches_the_others) {
    Town town;
    Client listener = town.subscriber("t");
    Client leaving = town.connect({.on_close = [&](ConnectionId id) {
        static_cast<void>(town.publish("t", "one less"));
        ck_assert(town.hub.subscribe("s", "t", id, town.quota) == TopicResult::gone);
    }});
    ck_assert(town.subscribe(leaving, "t") == TopicResult::ok);
    leaving.peer.reset();
    listener.peer.expect_text("one less");
    await_quietly([&] { return town.shown.subscriptions == 1; }, "the subscription's end");
}
END_TEST

/// Whatever the order of events, no subscription outlives its connection.
START_TEST(subscriptions_that_race_with_the_end_of_the_connection_leave_nothing) {
    Town town({.loops = 2});
    for (int round = 0; round < (kThreadSanitizer ? 30 : 100); ++round) {
        std::vector<Client> clients;
        for (int i = 0; i < 4; ++i) clients.push_back(town.connect());
        std::atomic<bool> over{false};
        std::vector<std::thread> threads;
        for (const Client& client : clients) {
            threads.emplace_back([&, id = client.id] {
                for (int i = 0; !over; ++i) {
                    const std::string topic = std::to_string(i % 7);
                    static_cast<void>(town.hub.subscribe("s", topic, id, town.quota));
                    static_cast<void>(town.publish(topic, "x"));
                    town.hub.unsubscribe("s", std::to_string((i + 3) % 7), id);
                    if (i % 11 == 0) town.hub.unsubscribe_all(id);
                }
            });
        }
        for (Client& client : clients) client.peer.reset();
        for (Client& client : clients) client.await_close();
        over = true;
        for (std::thread& thread : threads) thread.join();
        town.await_topics(0);
    }
}
END_TEST

START_TEST(without_memory_a_subscription_is_refused_and_nothing_remains) {
    for (std::size_t index = 0; index < 20; ++index) {
        Town town;
        Client client = town.connect();
        Client other = town.subscriber("t");
        auto subscribed = TopicResult::ok;
        auto published = TopicResult::ok;
        {
            const FailingAllocator allocator(index);
            subscribed = town.subscribe(client, "new");
            published = town.publish("t", "x");
        }
        ck_assert(subscribed == TopicResult::ok || subscribed == TopicResult::no_memory);
        ck_assert(published == TopicResult::ok || published == TopicResult::no_memory);
        ck_assert_uint_eq(town.shown.topics, subscribed == TopicResult::ok ? 2 : 1);
        ck_assert(town.subscribe(client, "new") == TopicResult::ok);
        ck_assert(town.publish("new", "y") == TopicResult::ok);
        client.peer.expect_text("y");
        if (published == TopicResult::ok) other.peer.expect_text("x");
    }
}
END_TEST

WEBSOCKET_TEST_SUITE(hub) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, subscribers_of_the_topic_get_it_and_nobody_else);
    tcase_add_test(tests, binary_messages_are_binary);
    tcase_add_test(tests, equal_names_in_different_scopes_are_different_topics);
    tcase_add_test(tests, subscribing_twice_is_subscribing_once);
    tcase_add_test(tests, who_unsubscribes_gets_what_came_before_and_nothing_after);
    tcase_add_test(tests, a_topic_vanishes_with_its_last_subscriber_however_that_ends);
    tcase_add_test(tests, a_connection_that_is_not_served_yet_keeps_no_subscription);
    tcase_add_test(tests, names_have_1_to_255_bytes);
    tcase_add_test(tests, a_message_of_256_mib_is_too_big);
    tcase_add_test(tests, a_client_cannot_subscribe_without_end);
    tcase_add_test(tests, one_location_cannot_take_the_topics_of_all);
    tcase_add_test(tests, a_slow_subscriber_is_counted_and_delays_nobody);
    tcase_add_test(tests, a_publisher_is_told_when_a_loop_has_no_room);
    tcase_add_test(tests, what_others_want_goes_over_the_bus_and_what_comes_stays_here);
    tcase_add_test(tests, a_topic_whose_name_begins_with_a_nul_is_of_this_process_alone);
    tcase_add_test(
        tests,
        gaps_are_heard_by_who_listens_for_them_in_the_scope_and_come_again_where_there_is_no_room);
    tcase_add_test(tests, subscribers_are_counted_and_those_that_listeners_stand_for);
    tcase_add_test(tests, a_publisher_is_told_when_the_bus_cannot);
    tcase_add_test(tests, without_the_bus_there_are_no_subscriptions);
    tcase_add_test(tests, a_loop_may_subscribe_publish_and_unsubscribe);
    tcase_add_test(tests, a_goodbye_published_at_the_end_of_a_connection_reaches_the_others);
    tcase_add_test(tests, subscriptions_that_race_with_the_end_of_the_connection_leave_nothing);
    tcase_add_test(tests, without_memory_a_subscription_is_refused_and_nothing_remains);
}
