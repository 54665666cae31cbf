// SPDX-License-Identifier: Apache-2.0
// Topics with history in one process; what another process publishes is put into the memory, and told by the bus, as the
// test wants.
#include <sys/mman.h>

#include <string>
#include <vector>

#include "engine/service.hpp"
#include "hub/hub.hpp"
#include "hub/recording_bus.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::engine::SharedFrame;
using websocket::hub::History;
using websocket::hub::HistoryExcerpt;
using websocket::hub::HistoryStore;
using websocket::hub::Hub;
using websocket::hub::Position;
using websocket::hub::Recovered;
using websocket::hub::Return;
using websocket::hub::TopicKey;
using websocket::hub::TopicPattern;
using websocket::hub::TopicQuota;
using websocket::hub::TopicResult;
using websocket::protocol::MessageType;

namespace {

constexpr std::size_t kRoom = std::size_t{1} << 20;

struct RememberingTown {
    RememberingTown()
        : service({.loops = 2}), hub(service.engine(), bus, service.log, {.history = &history}) {}
    ~RememberingTown() {
        service.stop();
        ::munmap(store.memory(), store.bytes());
    }
    RememberingTown(const RememberingTown&) = delete;
    RememberingTown& operator=(const RememberingTown&) = delete;

    HistoryStore store = HistoryStore::create(std::size_t{1} << 20);
    Service service;
    RecordingBus bus;
    TopicQuota quota;
    History history{
        store, {{"", TopicPattern("kept/*"), {100, std::chrono::hours(1)}}}, service.log};
    Hub hub;

    [[nodiscard]] Client subscriber(const std::string& topic) {
        Client client = service.connect({}, {});
        client.await_open();
        ck_assert(hub.subscribe("s", topic, client.id, quota) == TopicResult::ok);
        return client;
    }
    Recovered come_back(const Client& client, const std::string& topic, const Position& since,
                        std::size_t room = kRoom) {
        Recovered recovered;
        ck_assert(hub.subscribe_again("s", topic, client.id, quota, Return{since, room},
                                      recovered) == TopicResult::ok);
        return recovered;
    }
    Position publish(const std::string& topic, const std::string& text) {
        Position position;
        ck_assert(hub.publish("s", topic, MessageType::text, bytes(text), {}, {}, &position) ==
                  TopicResult::ok);
        return position;
    }
    /// Another process has published it, and nobody was told.
    SharedFrame published_elsewhere(const std::string& topic, const std::string& text) {
        const TopicKey key = TopicKey::make("s", topic, {}).value();
        const auto at = history.append(key, *history.limits_of(key), Opcode::text, bytes(text), {});
        SharedFrame frame = SharedFrame::build(Opcode::text, bytes(text));
        websocket::hub::mark_with_position(frame, {}, at.value());
        return frame;
    }
    void tell(const std::string& topic, const SharedFrame& frame) {
        bus.to->receive(TopicKey::make("s", topic, {}).value(), frame);
    }
};

}  // namespace

START_TEST(a_topic_without_history_is_refused) {
    RememberingTown town;
    const Client client = town.subscriber("other");
    Recovered recovered;
    HistoryExcerpt excerpt;
    ck_assert(town.hub.subscribe_again("s", "other", client.id, town.quota, {}, recovered) ==
              TopicResult::no_history);
    ck_assert(town.hub.subscribe_again("s", "", client.id, town.quota, {}, recovered) ==
              TopicResult::bad_name);
    ck_assert(town.hub.read("s", "other", {}, excerpt) == TopicResult::no_history);
    ck_assert(town.hub.read("s", "", {}, excerpt) == TopicResult::bad_name);
    ck_assert(!town.publish("other", "text"));
}
END_TEST

START_TEST(records_that_come_out_of_order_are_delivered_in_order_and_once) {
    RememberingTown town;
    Client client = town.subscriber("kept/t");
    const SharedFrame one = town.published_elsewhere("kept/t", "1");
    const SharedFrame two = town.published_elsewhere("kept/t", "2");
    const SharedFrame three = town.published_elsewhere("kept/t", "3");
    town.tell("kept/t", two);
    town.tell("kept/t", one);
    town.tell("kept/t", three);
    town.tell("kept/t", three);
    town.publish("kept/t", "4");
    for (const char* text : {"1", "2", "3", "4"}) client.peer.expect_text(text);
}
END_TEST

START_TEST(what_nobody_was_told_of_comes_before_what_is_published_next_or_when_somebody_looks) {
    RememberingTown town;
    Client client = town.subscriber("kept/t");
    static_cast<void>(town.published_elsewhere("kept/t", "1"));
    town.publish("kept/t", "2");
    static_cast<void>(town.published_elsewhere("kept/t", "3"));
    town.hub.look_after_history();
    for (const char* text : {"1", "2", "3"}) client.peer.expect_text(text);
}
END_TEST

START_TEST(who_comes_back_gets_what_it_missed_and_then_what_is_new_and_others_nothing_twice) {
    RememberingTown town;
    Client other = town.subscriber("kept/t");
    const Position first = town.publish("kept/t", "1");
    town.publish("kept/t", "2");
    const SharedFrame late = town.published_elsewhere("kept/t", "3");
    Client client = town.service.connect({}, {});
    client.await_open();
    const Recovered recovered = town.come_back(client, "kept/t", first);
    ck_assert(recovered.complete && recovered.now == (Position{first.epoch, 3}));
    town.tell("kept/t", late);
    town.publish("kept/t", "4");
    for (const char* text : {"2", "3", "4"}) client.peer.expect_text(text);
    for (const char* text : {"1", "2", "3", "4"}) other.peer.expect_text(text);
}
END_TEST

START_TEST(who_cannot_recover_gets_what_is_new_alone) {
    RememberingTown town;
    const Position first = town.publish("kept/t", "1");
    town.publish("kept/t", std::string(1000, 'x'));
    std::vector<Client> clients;
    for (const auto& [since, room] : {std::pair{Position{first.epoch ^ 1, 1}, kRoom},
                                      {Position{first.epoch, 9}, kRoom},
                                      {first, std::size_t{100}}}) {
        clients.push_back(town.service.connect({}, {}));
        clients.back().await_open();
        const Recovered recovered = town.come_back(clients.back(), "kept/t", since, room);
        ck_assert(!recovered.complete && recovered.now == (Position{first.epoch, 2}));
    }
    town.publish("kept/t", "new");
    for (Client& client : clients) client.peer.expect_text("new");
}
END_TEST

START_TEST(a_record_of_another_memory_is_delivered_as_it_is) {
    RememberingTown town;
    Client client = town.subscriber("kept/t");
    town.publish("kept/t", "1");
    const SharedFrame foreign = SharedFrame::build(Opcode::text, bytes(std::string("foreign")));
    websocket::hub::mark_with_position(foreign, {}, {42, 1});
    town.tell("kept/t", foreign);
    town.publish("kept/t", "2");
    for (const char* text : {"1", "foreign", "2"}) client.peer.expect_text(text);
}
END_TEST

START_TEST(what_a_broker_orders_is_delivered_when_it_comes_back_but_not_to_its_publisher) {
    RememberingTown town;
    Client publisher = town.subscriber("kept/t");
    Client other = town.subscriber("kept/t");
    town.bus.ordered = true;
    Position position;
    ck_assert(town.hub.publish("s", "kept/t", MessageType::text, bytes(std::string("1")),
                               publisher.id, {}, &position) == TopicResult::ok);
    ck_assert(!position);
    ck_assert_uint_eq(town.bus.to_order.size(), 1);
    const auto origin = websocket::hub::origin_of(town.bus.to_order[0]);
    const TopicKey key = TopicKey::make("s", "kept/t", {}).value();
    for (std::uint64_t offset = 1; offset <= 2; ++offset) {
        const std::string text = std::to_string(offset);
        const auto sender = offset == 1 ? origin : websocket::hub::Origin{};
        ck_assert(town.history.append_at(key, *town.history.limits_of(key),
                                         {.at = {42, offset},
                                          .opcode = Opcode::text,
                                          .payload = bytes(text),
                                          .fields = {},
                                          .origin = sender,
                                          .published = History::now(),
                                          .broker_time = 0}) == websocket::hub::Placed::kept);
    }
    const SharedFrame second = SharedFrame::build(Opcode::text, bytes(std::string("2")));
    websocket::hub::mark_with_position(second, {}, {42, 2});
    town.tell("kept/t", second);  // the first one is read from the memory, which knows the sender
    for (const char* text : {"1", "2"}) other.peer.expect_text(text);
    publisher.peer.expect_text("2");
}
END_TEST

START_TEST(what_nobody_orders_any_more_is_published_here) {
    RememberingTown town;
    Client client = town.subscriber("kept/t");
    town.bus.ordered = true;
    town.bus.order_result = websocket::hub::BusResult::unavailable;
    ck_assert(town.publish("kept/t", "1").offset == 1);
    town.bus.order_result = websocket::hub::BusResult::ok;
    ck_assert(!town.publish("kept/t", "2"));
    town.bus.to->take_back(TopicKey::make("s", "kept/t", {}).value(), town.bus.to_order.back());
    for (const char* text : {"1", "2"}) client.peer.expect_text(text);
}
END_TEST

START_TEST(patterns_match_whole_names) {
    const auto matches = [](const char* pattern, std::string_view name) {
        return TopicPattern(pattern).matches(name);
    };
    ck_assert(matches("news", "news") && !matches("news", "newsletter") && !matches("news", "new"));
    ck_assert(matches("news/*", "news/") && matches("news/*", "news/a") &&
              !matches("news/*", "news/a/b"));
    ck_assert(matches("news/**", "news/a/b") && matches("**", "a") && !matches("*", "a/b"));
    ck_assert(matches("a*b*c", "a1b2c") && !matches("a*b*c", "a1c2b") && matches("**/x", "a/b/x"));
    ck_assert(!matches("***************************b", std::string(255, 'a')));
}
END_TEST

WEBSOCKET_TEST_SUITE(hub_history) {
    tcase_add_test(tests, a_topic_without_history_is_refused);
    tcase_add_test(tests, records_that_come_out_of_order_are_delivered_in_order_and_once);
    tcase_add_test(
        tests, what_nobody_was_told_of_comes_before_what_is_published_next_or_when_somebody_looks);
    tcase_add_test(
        tests, who_comes_back_gets_what_it_missed_and_then_what_is_new_and_others_nothing_twice);
    tcase_add_test(tests, who_cannot_recover_gets_what_is_new_alone);
    tcase_add_test(tests, a_record_of_another_memory_is_delivered_as_it_is);
    tcase_add_test(tests,
                   what_a_broker_orders_is_delivered_when_it_comes_back_but_not_to_its_publisher);
    tcase_add_test(tests, what_nobody_orders_any_more_is_published_here);
    tcase_add_test(tests, patterns_match_whole_names);
}
