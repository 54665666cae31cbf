// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "bridge/presence_exchange.hpp"

#include <unistd.h>

#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/service.hpp"
#include "hub/recording_bus.hpp"
#include "unit.hpp"

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using websocket::bridge::Envelope;
using websocket::bridge::PresenceChange;
using websocket::bridge::PresenceExchange;
using websocket::bridge::PresenceMessage;
using websocket::hub::Member;
using websocket::hub::PresenceStore;
using websocket::hub::TopicKey;
using websocket::test::RecordingBus;
using websocket::test::RecordingLog;
using Kind = PresenceMessage::Kind;

namespace {

constexpr std::size_t kMemory = std::size_t{8} << 20;

TopicKey room(std::string_view name) { return TopicKey::make("=www", name, {}).value(); }

/// A broker: what is sent reaches all that are up, in order.
struct Wires {
    std::deque<std::string> sent;
    std::size_t room = 1'000'000;  ///< messages that it takes
    std::size_t count = 0;
};

/// A host with its memory, and one bridge after the other.
class Host final : private PresenceExchange::Wire {
public:
    explicit Host(Wires& wires, std::size_t memory = kMemory)
        : store(PresenceStore::create(memory, 8)), self(store.claim().value()), wires_(wires) {
        begin();
    }
    /// As after a crash.
    void begin() {
        ++bridge_;
        exchange = std::make_unique<PresenceExchange>(
            store, websocket::bridge::PresenceOptions{.bridge = store.host() + bridge_},
            static_cast<PresenceExchange::Wire&>(*this), bus, log);
        is_up = false;
    }
    void enter(std::string_view topic, std::string_view id, std::string_view info = "1") {
        ck_assert(store.enter(room(topic), self, id, info) == PresenceStore::Result::ok);
        exchange->note_change(room(topic).bytes());
    }
    void leave(std::string_view topic, std::string_view id) {
        store.leave(room(topic), self, id);
        exchange->note_change(room(topic).bytes());
    }
    [[nodiscard]] std::string in(std::string_view topic) const {
        std::string all;
        const std::vector<Member> members = store.members(room(topic)).value();
        for (const Member& one : members) {
            all += (all.empty() ? "" : " ") + one.id + '=' + one.info;
        }
        return all;
    }
    [[nodiscard]] std::size_t count(std::string_view topic) const {
        return store.members(room(topic)).value().size();
    }
    [[nodiscard]] std::uint64_t bridge_id() const { return store.host() + bridge_; }

    PresenceStore store;
    PresenceStore::Self self;
    RecordingBus bus;
    RecordingLog log;
    std::unique_ptr<PresenceExchange> exchange;
    bool is_up = false;

private:
    [[nodiscard]] bool has_room() const noexcept override { return wires_.room > 0; }
    void send_presence(std::string_view payload) override {
        wires_.sent.emplace_back(payload);
        ++wires_.count;
        wires_.room -= wires_.room > 0 ? 1 : 0;
    }

    Wires& wires_;
    std::uint64_t bridge_ = 0;
};

struct Cluster {
    explicit Cluster(std::size_t count, std::size_t memory = kMemory) {
        for (std::size_t i = 0; i < count; ++i)
            all.push_back(std::make_unique<Host>(wires, memory));
        for (const auto& host : all) up(*host);
        settle();
    }
    Host& operator[](std::size_t host) { return *all[host]; }

    void up(Host& host) {
        host.is_up = true;
        host.exchange->on_up(now);
    }
    void down(Host& host) {
        host.is_up = false;
        host.exchange->on_down();
    }
    void deliver() {
        while (!wires.sent.empty()) {
            const std::string payload = std::move(wires.sent.front());
            wires.sent.pop_front();
            const auto envelope = Envelope::of_payload(payload);
            for (const auto& host : all) {
                if (host->is_up) ck_assert(host->exchange->on_message(*envelope, now));
            }
        }
    }
    void settle() {
        for (const auto& host : all) host->exchange->flush(now);
        deliver();
    }
    void pass(milliseconds time) {
        for (const milliseconds end = now + time; now < end;) {
            now += 1s;
            for (const auto& host : all) host->exchange->tick(now);
            deliver();
        }
    }
    void expect(std::string_view topic, const char* members) {
        for (const auto& host : all) {
            const std::string is = host->in(topic);
            ck_assert_str_eq(is.c_str(), members);
        }
    }
    /// As a host that nobody has.
    void stranger(std::uint64_t bridge, std::uint64_t sequence, const PresenceMessage& message) {
        const std::string text = message.to_message();
        wires.sent.push_back(Envelope{.type = Envelope::Type::presence,
                                      .host = bridge,
                                      .sequence = sequence,
                                      .fields = {},
                                      .message = text}
                                 .to_payload());
        deliver();
    }

    milliseconds now{1'000'000};
    Wires wires;
    std::vector<std::unique_ptr<Host>> all;
};

std::string change(bool present, std::string_view id, std::string_view info = "1") {
    std::string text;
    const TopicKey key = room("tea");
    PresenceChange{present, key.bytes(), id, info}.append_to(text);
    return text;
}

}  // namespace

START_TEST(what_is_not_of_presence_is_not_understood) {
    Cluster hosts(1);
    Envelope envelope{
        .type = Envelope::Type::heartbeat, .host = 9, .sequence = 1, .fields = {}, .message = "x"};
    ck_assert(!hosts[0].exchange->on_message(envelope, hosts.now));
    envelope.type = Envelope::Type::presence;
    ck_assert(!hosts[0].exchange->on_message(envelope, hosts.now));
    ck_assert_uint_eq(hosts[0].exchange->hosts(), 0);
}
END_TEST

START_TEST(nothing_is_believed_before_a_state_begins_and_behind_a_hole) {
    Cluster hosts(1);
    const std::string alice = change(true, "alice");
    const std::string bob = change(true, "bob");
    const PresenceMessage whole{.kind = Kind::state, .flags = 3, .host = 5, .changes = alice};
    hosts.stranger(55, 4, {.kind = Kind::changes, .host = 5, .changes = alice});
    hosts.stranger(55, 5, {.kind = Kind::state, .flags = 2, .host = 5, .changes = alice});
    hosts.expect("tea", "");
    hosts.stranger(55, 6, whole);
    hosts.expect("tea", "alice=1");
    hosts.stranger(55, 8, {.kind = Kind::changes, .host = 5, .changes = bob});
    hosts.expect("tea", "alice=1");
    hosts.stranger(55, 9, {.kind = Kind::changes, .host = 5, .changes = bob});
    hosts.expect("tea", "alice=1");
    hosts.stranger(55, 10, {.kind = Kind::state, .flags = 1, .host = 5, .changes = bob});
    hosts.expect("tea", "alice=1 bob=1");  // nobody leaves before the state is whole
    hosts.stranger(55, 11, {.kind = Kind::state, .flags = 2, .host = 5});
    hosts.expect("tea", "bob=1");
    // Another bridge of the same host.
    hosts.stranger(56, 12, {.kind = Kind::changes, .host = 5, .changes = alice});
    hosts.expect("tea", "bob=1");
    hosts.stranger(55, 12, {.kind = Kind::goodbye, .host = 5});
    hosts.expect("tea", "bob=1");
    hosts.stranger(56, 12, {.kind = Kind::goodbye, .host = 5});
    hosts.expect("tea", "");
}
END_TEST

START_TEST(more_hosts_than_there_is_room_for_are_told_of_and_cost_the_others_nothing) {
    Cluster hosts(1);
    const std::string alice = change(true, "alice");
    for (std::uint64_t host = 1; host <= 300; ++host) {
        hosts.stranger(host, 1, {.kind = Kind::state, .flags = 3, .host = host, .changes = alice});
    }
    ck_assert_uint_eq(hosts[0].exchange->hosts(), 256);
    ck_assert(hosts[0].log.count("WS0651") == 1);
    hosts.expect("tea", "alice=1");
    hosts.pass(15s);
    ck_assert_uint_eq(hosts[0].exchange->hosts(), 0);
    hosts.expect("tea", "");
}
END_TEST

START_TEST(members_come_change_and_go_on_all_hosts) {
    Cluster hosts(3);
    hosts[0].enter("tea", "alice");
    hosts[1].enter("tea", "bob");
    hosts.settle();
    hosts.expect("tea", "alice=1 bob=1");
    ck_assert(!hosts[2].bus.published.empty());  // who watches is told to look
    hosts[0].enter("tea", "alice", "2");
    hosts[1].leave("tea", "bob");
    hosts.settle();
    hosts.expect("tea", "alice=2");
    hosts[2].enter("tea", "alice", "2");
    hosts[0].leave("tea", "alice");
    hosts.settle();
    hosts.expect("tea", "alice=2");
    hosts[2].leave("tea", "alice");
    hosts.settle();
    hosts.expect("tea", "");
}
END_TEST

START_TEST(a_host_that_comes_late_learns_of_all) {
    constexpr int kMembers = websocket::test::kSanitizer ? 3000 : 10'000;
    Cluster hosts(2);
    for (int i = 0; i < kMembers; ++i) {
        hosts[0].enter("tea", "member" + std::to_string(i), std::string(60, 'x'));
    }
    hosts.settle();
    ck_assert_uint_eq(hosts[1].count("tea"), kMembers);
    hosts.all.push_back(std::make_unique<Host>(hosts.wires));
    hosts.up(hosts[2]);
    hosts.pass(2s);
    ck_assert_uint_eq(hosts[2].count("tea"), kMembers);
    const std::size_t count = hosts.wires.count;
    hosts.pass(1s);
    ck_assert_uint_le(hosts.wires.count - count, 3);  // and then it is quiet
}
END_TEST

START_TEST(a_state_that_waits_for_the_broker_takes_what_changes_meanwhile_along) {
    Cluster hosts(1);
    for (int i = 100; i < 1100; ++i) {
        hosts[0].enter("tea", "member" + std::to_string(i), std::string(200, 'x'));
    }
    hosts.settle();
    hosts.all.push_back(std::make_unique<Host>(hosts.wires));
    hosts.up(hosts[1]);
    hosts.deliver();
    hosts.now += 2s;
    hosts[1].exchange->tick(hosts.now);
    hosts.wires.room = 2;
    for (int i = 0; i < 100; ++i) {
        hosts.deliver();
        hosts[0].leave("tea", "member" + std::to_string(100 + i));
        hosts[0].leave("tea", "member" + std::to_string(1099 - i));
        hosts[0].enter("tea", "newcomer" + std::to_string(100 + i));
        hosts.wires.room = 1;
        hosts[0].exchange->flush(hosts.now);
    }
    hosts.wires.room = 1'000'000;
    hosts.pass(3s);
    ck_assert_uint_eq(hosts[1].count("tea"), 900);
    const std::string is = hosts[1].in("tea");
    const std::string wanted = hosts[0].in("tea");
    ck_assert_str_eq(is.c_str(), wanted.c_str());
}
END_TEST

START_TEST(what_a_host_has_missed_it_asks_for) {
    Cluster hosts(2);
    hosts[0].enter("tea", "alice");
    hosts[0].enter("tea", "bob");
    hosts.settle();
    hosts.down(hosts[1]);
    hosts[0].leave("tea", "alice");
    hosts.settle();
    hosts.up(hosts[1]);
    hosts.pass(3s);
    hosts.expect("tea", "bob=1");
    // The same when the one who tells had no broker.
    hosts.down(hosts[0]);
    hosts[0].leave("tea", "bob");
    hosts[0].enter("tea", "carol");
    hosts.settle();
    hosts.up(hosts[0]);
    hosts.pass(3s);
    hosts.expect("tea", "carol=1");
}
END_TEST

START_TEST(a_lost_answer_is_asked_for_again) {
    Cluster hosts(1);
    hosts[0].enter("tea", "alice");
    hosts.settle();
    hosts.all.push_back(std::make_unique<Host>(hosts.wires));
    hosts.up(hosts[1]);
    for (int i = 0; i < 3; ++i) {
        hosts.wires.sent.clear();  // nothing has reached anybody
        hosts.now += 1s;
        for (const auto& host : hosts.all) host->exchange->tick(hosts.now);
    }
    hosts.pass(4s);
    hosts.expect("tea", "alice=1");
}
END_TEST

START_TEST(another_bridge_of_a_host_changes_nothing_for_anybody) {
    Cluster hosts(2);
    hosts[0].enter("tea", "alice");
    hosts[0].enter("tea", "carol");
    hosts[1].enter("tea", "bob");
    hosts.settle();
    const std::uint64_t changes = hosts[1].store.changes();
    hosts[0].begin();
    hosts.expect("tea", "alice=1 bob=1 carol=1");
    hosts.up(hosts[0]);
    hosts.pass(3s);
    hosts.expect("tea", "alice=1 bob=1 carol=1");
    ck_assert_uint_eq(hosts[1].store.changes(), changes);
    // Of what happened while there was none, all is seen.
    hosts[0].begin();
    hosts[0].store.leave(room("tea"), hosts[0].self, "alice");
    hosts[1].leave("tea", "bob");
    hosts.settle();
    hosts.up(hosts[0]);
    hosts.pass(3s);
    hosts.expect("tea", "carol=1");
}
END_TEST

START_TEST(members_of_a_process_that_was_killed_leave_everywhere) {
    Cluster hosts(2);
    const auto other = hosts[0].store.claim().value();
    ck_assert(hosts[0].store.enter(room("tea"), other, "alice", "1") == PresenceStore::Result::ok);
    hosts[0].enter("tea", "bob");
    hosts.settle();
    hosts.expect("tea", "alice=1 bob=1");
    hosts[0].store.reap(::getpid());
    hosts.pass(1s);
    hosts.expect("tea", "");
}
END_TEST

START_TEST(a_host_that_is_silent_or_says_goodbye_has_no_members) {
    Cluster hosts(3);
    hosts[0].enter("tea", "alice");
    hosts[1].enter("tea", "bob");
    hosts.settle();
    hosts.expect("tea", "alice=1 bob=1");
    hosts[0].exchange->say_goodbye();
    hosts.deliver();
    const std::string one = hosts[2].in("tea");
    ck_assert_str_eq(one.c_str(), "bob=1");
    hosts.all.erase(hosts.all.begin());
    hosts.down(hosts[0]);
    hosts.pass(14s);
    const std::string two = hosts[1].in("tea");
    ck_assert_str_eq(two.c_str(), "bob=1");
    hosts.pass(2s);
    const std::string three = hosts[1].in("tea");
    ck_assert_str_eq(three.c_str(), "");
    hosts.up(hosts[0]);
    hosts.pass(3s);
    hosts.expect("tea", "bob=1");
}
END_TEST

START_TEST(a_bridge_whose_leases_have_ended_meanwhile_begins_anew) {
    Cluster hosts(2);
    hosts[0].enter("tea", "alice");
    hosts.settle();
    hosts[1].store.end_overdue_hosts(std::chrono::steady_clock::now() + 1min);
    const std::string none = hosts[1].in("tea");
    ck_assert_str_eq(none.c_str(), "");
    hosts.pass(8s);
    hosts.expect("tea", "alice=1");
}
END_TEST

START_TEST(who_does_not_fit_is_told_of_and_comes_when_there_is_room) {
    Cluster hosts(1);
    hosts.all.push_back(std::make_unique<Host>(hosts.wires, PresenceStore::kLeast));
    hosts[1].enter("coffee", "large", std::string(4000, 'x'));
    int own = 0;
    while (hosts[1].store.enter(room("own"), hosts[1].self, std::to_string(own),
                                std::string(3000, 'x')) == PresenceStore::Result::ok) {
        ++own;
    }
    for (int i = 100; i < 140; ++i)
        hosts[0].enter("tea", std::to_string(i), std::string(2000, 'x'));
    hosts.up(hosts[1]);
    hosts.pass(5s);
    ck_assert_uint_lt(hosts[1].count("tea"), 40);
    ck_assert(hosts[1].log.count("WS0650") > 0);
    for (int i = 0; i < own; ++i) hosts[1].leave("own", std::to_string(i));
    for (int i = 110; i < 140; ++i) hosts[0].leave("tea", std::to_string(i));
    hosts.pass(60s);
    const std::string is = hosts[1].in("tea");
    const std::string wanted = hosts[0].in("tea");
    ck_assert_str_eq(is.c_str(), wanted.c_str());
}
END_TEST

WEBSOCKET_TEST_SUITE(presence_exchange) {
    tcase_set_timeout(tests, websocket::test::kTestTimeout);
    tcase_add_test(tests, what_is_not_of_presence_is_not_understood);
    tcase_add_test(tests, nothing_is_believed_before_a_state_begins_and_behind_a_hole);
    tcase_add_test(tests,
                   more_hosts_than_there_is_room_for_are_told_of_and_cost_the_others_nothing);
    tcase_add_test(tests, members_come_change_and_go_on_all_hosts);
    tcase_add_test(tests, a_host_that_comes_late_learns_of_all);
    tcase_add_test(tests, a_state_that_waits_for_the_broker_takes_what_changes_meanwhile_along);
    tcase_add_test(tests, what_a_host_has_missed_it_asks_for);
    tcase_add_test(tests, a_lost_answer_is_asked_for_again);
    tcase_add_test(tests, another_bridge_of_a_host_changes_nothing_for_anybody);
    tcase_add_test(tests, members_of_a_process_that_was_killed_leave_everywhere);
    tcase_add_test(tests, a_host_that_is_silent_or_says_goodbye_has_no_members);
    tcase_add_test(tests, a_bridge_whose_leases_have_ended_meanwhile_begins_anew);
    tcase_add_test(tests, who_does_not_fit_is_told_of_and_comes_when_there_is_room);
}
