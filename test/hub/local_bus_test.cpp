// SPDX-License-Identifier: Apache-2.0
// What one process publishes, the others get: processes come, go, stop and are killed.
#include "hub/local_bus.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <map>
#include <string>
#include <vector>

#include "hub/local_socket.hpp"
#include "hub/node.hpp"
#include "unit.hpp"

using namespace websocket::test;

namespace {

/// The next message, as the number of the process and that of the message.
std::pair<pid_t, std::uint64_t> next_numbered(Subscriber& who, std::uint64_t& size) {
    const Frame frame = who.peer.receive();
    ck_assert_int_eq(static_cast<int>(frame.opcode), static_cast<int>(Opcode::text));
    size = frame.payload.size();
    const std::size_t colon = frame.payload.find(':');
    ck_assert_msg(colon != std::string::npos, "\"%.40s\"", frame.payload.c_str());
    return {std::stoi(frame.payload), std::stoull(frame.payload.substr(colon + 1, 20))};
}

/// A process of another user that has the name of a process of ours and never accepts. Needs root.
class OtherUser {
public:
    /// What waits to be accepted there: nothing, or as much as can.
    enum class Backlog : std::uint8_t { room, full };

    OtherUser(std::uint64_t name, Backlog backlog) {
        std::array<int, 2> ready{};
        ck_assert_int_eq(::pipe2(ready.data(), O_CLOEXEC), 0);
        pid_ = ::fork();
        ck_assert_int_ge(pid_, 0);
        if (pid_ == 0) {
            run(name, backlog, ready[1]);
        }
        ::close(ready[1]);
        char byte = 0;
        ck_assert_msg(::read(ready[0], &byte, 1) == 1, "another user cannot take the name");
        ::close(ready[0]);
    }
    ~OtherUser() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    OtherUser(const OtherUser&) = delete;
    OtherUser& operator=(const OtherUser&) = delete;

private:
    [[noreturn]] static void run(std::uint64_t name, Backlog backlog, int ready) {
        constexpr uid_t kNobody = 65534;
        const bool other = ::setresuid(kNobody, kNobody, kNobody) == 0;
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a change of user undoes it
        const Descriptor listener = websocket::hub::listen_as(name);
        if (!other || !listener.valid()) ::_exit(1);
        std::vector<Descriptor> waiting;
        if (backlog == Backlog::full) {
            ::listen(listener.get(), 0);
            do {
                waiting.push_back(websocket::hub::connect_to(name));
            } while (waiting.back().valid());
        }
        static_cast<void>(!::write(ready, "", 1));
        for (;;) ::pause();
    }

    pid_t pid_ = 0;
};

}  // namespace

START_TEST(a_publication_reaches_the_subscribers_in_every_process) {
    const Registry registry = Registry::create(8);
    std::vector<Node> nodes;
    for (int i = 0; i < 5; ++i) nodes.emplace_back(registry);
    std::vector<Subscriber> subscribers;
    for (Node& node : nodes) {
        for (int i = 0; i < 2; ++i) subscribers.push_back(node.subscriber("t"));
    }
    for (Node& node : nodes) {
        ck_assert(node.publish("t", std::to_string(node.pid())) == TopicResult::ok);
        for (Subscriber& subscriber : subscribers) {
            subscriber.peer.expect_text(std::to_string(node.pid()));
        }
    }
}
END_TEST

START_TEST(each_process_knows_how_many_subscribers_there_are_in_all) {
    Registry registry = Registry::create(4);
    std::vector<Node> nodes;
    for (int i = 0; i < 4; ++i) nodes.emplace_back(registry);
    std::vector<Subscriber> subscribers;
    for (std::size_t i = 0; i < 3; ++i) {
        for (std::size_t count = 0; count <= i; ++count)
            subscribers.push_back(nodes[i].subscriber("t"));
    }
    const Subscriber other = nodes[0].subscriber("other");
    for (Node& node : nodes) {
        ck_assert_uint_eq(node.subscribers("t"), 6);
        ck_assert_uint_eq(node.subscribers("other"), 1);
        ck_assert_uint_eq(node.subscribers("t", "elsewhere"), 0);
    }
    nodes[0].unsubscribe(subscribers[0], "t");
    ck_assert_uint_eq(nodes[3].subscribers("t"), 5);
    nodes[2].kill();
    registry.reap_ended();
    ck_assert_uint_eq(nodes[3].subscribers("t"), 2);
    nodes[2] = Node(registry);  // in the slot of the one that was killed
    const Subscriber late = nodes[2].subscriber("late");
    ck_assert_uint_eq(nodes[3].subscribers("t"), 2);
    ck_assert_uint_eq(nodes[3].subscribers("late"), 1);
}
END_TEST

START_TEST(fifty_processes_reach_each_other) {
    constexpr std::size_t kNodes = kThreadSanitizer ? 12 : 50;
    const Registry registry = Registry::create(kNodes);
    std::vector<Node> nodes;
    for (std::size_t i = 0; i < kNodes; ++i) nodes.emplace_back(registry);
    std::vector<Subscriber> subscribers;
    for (Node& node : nodes) subscribers.push_back(node.subscriber("t"));
    for (Node& node : nodes) ck_assert(node.publish_many("t", 5) == TopicResult::ok);
    for (Subscriber& subscriber : subscribers) {
        std::map<pid_t, std::uint64_t> next;
        std::uint64_t size = 0;
        for (std::size_t i = 0; i < 5 * kNodes; ++i) {
            const auto [pid, number] = next_numbered(subscriber, size);
            ck_assert_uint_eq(number, next[pid]++);
        }
        ck_assert_uint_eq(next.size(), kNodes);
    }
}
END_TEST

/// Nothing but the return of subscribe() orders the two.
START_TEST(what_is_published_after_a_subscription_reaches_it_in_any_process) {
    const Registry registry = Registry::create(8);
    std::vector<Node> nodes;
    for (int i = 0; i < 3; ++i) nodes.emplace_back(registry);
    for (std::size_t round = 0; round < 300; ++round) {
        Node& near = nodes[round % nodes.size()];
        Node& far = nodes[(round / nodes.size() + round + 1) % nodes.size()];
        const std::string topic = "topic " + std::to_string(round);
        Subscriber subscriber = near.subscriber(topic);
        ck_assert(far.publish(topic, topic) == TopicResult::ok);
        subscriber.peer.expect_text(topic);
        near.unsubscribe(subscriber, topic);
        ck_assert(far.publish(topic, "too late") == TopicResult::ok);
        ck_assert(near.subscribe(subscriber, "end") == TopicResult::ok);
        ck_assert(far.publish("end", "end") == TopicResult::ok);
        subscriber.peer.expect_text("end");
    }
}
END_TEST

START_TEST(a_newcomer_hears_what_is_published_from_its_first_subscription_on) {
    const Registry registry = Registry::create(32);
    Node old(registry);
    for (int i = 0; i < 20; ++i) {
        Node young(registry);
        Subscriber subscriber = young.subscriber("t");
        ck_assert(old.publish("t", std::to_string(i)) == TopicResult::ok);
        subscriber.peer.expect_text(std::to_string(i));
    }
}
END_TEST

START_TEST(equal_names_in_different_scopes_do_not_leak_between_processes) {
    const Registry registry = Registry::create(4);
    Node first(registry);
    Node second(registry);
    Subscriber a = second.subscriber("t", "a");
    Subscriber b = second.subscriber("t", "b");
    for (int i = 0; i < 20; ++i) {
        ck_assert(first.publish("t", "for a", "a") == TopicResult::ok);
        ck_assert(first.publish("t", "for b", "b") == TopicResult::ok);
        ck_assert(first.publish("t", "for nobody", "c") == TopicResult::ok);
    }
    for (int i = 0; i < 20; ++i) {
        a.peer.expect_text("for a");
        b.peer.expect_text("for b");
    }
}
END_TEST

START_TEST(a_process_has_no_bus_until_there_is_something_to_carry) {
    const Registry registry = Registry::create(4);
    Node publisher(registry);
    Node subscriber(registry);
    ck_assert(publisher.publish("t", "nobody there") == TopicResult::ok);
    const Subscriber idle = subscriber.connect();
    ck_assert(!publisher.bus_running());
    ck_assert(!subscriber.bus_running());
    ck_assert(subscriber.subscribe(idle, "t") == TopicResult::ok);
    ck_assert(subscriber.bus_running());
    ck_assert(publisher.publish("other", "nobody there") == TopicResult::ok);
    ck_assert(!publisher.bus_running());
    ck_assert(publisher.publish("t", "x") == TopicResult::ok);
    ck_assert(publisher.bus_running());
}
END_TEST

START_TEST(large_messages_arrive_whole_in_every_process) {
    constexpr std::uint64_t kSize = (kSanitizer ? 2U : 16U) << 20;
    const Registry registry = Registry::create(8);
    std::vector<Node> nodes;
    for (int i = 0; i < 4; ++i) nodes.emplace_back(registry);
    std::vector<Subscriber> subscribers;
    for (Node& node : nodes) subscribers.push_back(node.subscriber("t"));
    ck_assert(nodes[0].publish_many("t", 1, kSize) == TopicResult::ok);
    ck_assert(nodes[1].publish_many("t", 1, kSize) == TopicResult::ok);
    for (Subscriber& subscriber : subscribers) {
        std::vector<std::string> got{subscriber.peer.receive().payload,
                                     subscriber.peer.receive().payload};
        std::vector<std::string> expected{nodes[0].numbered(0, kSize), nodes[1].numbered(0, kSize)};
        std::ranges::sort(got);
        std::ranges::sort(expected);
        ck_assert(got == expected);
    }
}
END_TEST

START_TEST(messages_of_one_process_keep_their_order_and_none_is_missing) {
    constexpr std::uint64_t kRounds = kThreadSanitizer ? 15 : 40;
    const Registry registry = Registry::create(8);
    std::vector<Node> nodes;
    for (int i = 0; i < 4; ++i) {
        nodes.emplace_back(registry, NodeOptions{.loops = 2, .bus_buffer = 256U << 20});
    }
    std::vector<Subscriber> subscribers;
    for (int i = 0; i < 2; ++i) {
        for (Node& node : nodes) subscribers.push_back(node.subscriber("t"));
    }
    std::uint32_t sent = 0;
    for (std::uint64_t round = 0; round < kRounds; ++round) {
        const std::uint64_t count = round % 10 == 0 ? 1 : 20;
        const std::uint64_t size = round % 10 == 0 ? 1'000'000 : round * 50;
        for (Node& node : nodes) {
            ck_assert(node.publish_many("t", count, size, sent) == TopicResult::ok);
        }
        sent += static_cast<std::uint32_t>(count);
    }
    for (Subscriber& subscriber : subscribers) {
        std::map<pid_t, std::uint64_t> next;
        std::uint64_t size = 0;
        for (std::size_t i = 0; i < nodes.size() * sent; ++i) {
            const auto [pid, number] = next_numbered(subscriber, size);
            ck_assert_uint_eq(number, next[pid]++);
        }
    }
}
END_TEST

START_TEST(what_a_process_publishes_right_before_it_ends_arrives) {
    const Registry registry = Registry::create(8);
    Node stays(registry);
    Subscriber subscriber = stays.subscriber("t");
    for (int i = 0; i < 10; ++i) {
        Node leaves(registry);
        const std::string last = leaves.numbered(9, 300'000);
        ck_assert(leaves.publish_many("t", 10, 300'000) == TopicResult::ok);
        leaves.stop();
        std::string got;
        while (got != last) got = subscriber.peer.receive().payload;
    }
}
END_TEST

START_TEST(who_ends_is_not_sent_to_any_more) {
    const Registry registry = Registry::create(2);
    Node publisher(registry);
    for (int i = 0; i < 10; ++i) {
        Node leaves(registry);
        Subscriber subscriber = leaves.subscriber("t");
        ck_assert(publisher.publish("t", "x") == TopicResult::ok);
        subscriber.peer.expect_text("x");
        subscriber.peer.disconnect();
        leaves.stop();
        ck_assert_uint_eq(registry.address(0), 0);
    }
    ck_assert_uint_eq(publisher.losses(Drop::no_resources), 0);
}
END_TEST

START_TEST(the_slots_of_killed_processes_are_found_and_used_again) {
    const Registry registry = Registry::create(2);
    for (int i = 0; i < 6; ++i) {
        Node killed(registry);
        const Subscriber subscriber = killed.subscriber("t");
        killed.kill();
    }
    Node stays(registry);
    Subscriber subscriber = stays.subscriber("t");
    Node publisher(registry);
    ck_assert(publisher.publish("t", "x") == TopicResult::ok);
    subscriber.peer.expect_text("x");
}
END_TEST

START_TEST(without_a_slot_there_is_no_subscription) {
    const Registry registry = Registry::create(2);
    std::vector<Node> nodes;
    for (int i = 0; i < 3; ++i) nodes.emplace_back(registry);
    Subscriber first = nodes[0].subscriber("t");
    const Subscriber second = nodes[1].subscriber("t");
    Subscriber third = nodes[2].connect();
    ck_assert(nodes[2].subscribe(third, "t") == TopicResult::unavailable);
    ck_assert(nodes[2].publish("t", "x") == TopicResult::ok);
    first.peer.disconnect();
    nodes[0].stop();
    ck_assert(nodes[2].subscribe(third, "t") == TopicResult::ok);
    ck_assert(nodes[1].publish("t", "y") == TopicResult::ok);
    third.peer.expect_text("y");
}
END_TEST

/// Killed in the middle of whatever they do, large messages included.
START_TEST(processes_that_are_killed_at_any_moment_harm_nobody_else) {
    const Registry registry = Registry::create(12);
    Node first(registry);
    Node second(registry);
    Subscriber quiet = first.subscriber("quiet");
    std::vector<Node> crowd;
    std::vector<Subscriber> clients;
    for (std::uint32_t round = 0; round < (kSanitizer ? 8 : 16); ++round) {
        while (crowd.size() < 6) {
            crowd.emplace_back(registry);
            clients.push_back(crowd.back().subscriber("noise"));
            clients.push_back(crowd.back().subscriber("quiet"));
            crowd.back().publish_for_ever("noise", crowd.size() % 2 == 0 ? 1U << 20 : 100);
        }
        const std::size_t victim = round * 7 % crowd.size();
        crowd.erase(crowd.begin() + static_cast<std::ptrdiff_t>(victim));
        ck_assert(second.publish_many("quiet", 1, 0, round) == TopicResult::ok);
        quiet.peer.expect_text(second.numbered(round));
    }
    crowd.clear();
    ck_assert(first.publish("noise", "x") == TopicResult::ok);
    ck_assert(first.publish("quiet", "end") == TopicResult::ok);
    quiet.peer.expect_text("end");
}
END_TEST

START_TEST(a_stopped_process_delays_nobody_and_gets_what_the_queue_had_room_for) {
    constexpr std::uint64_t kSize = 100'000;
    constexpr std::uint64_t kMessages = 200;
    const Registry registry = Registry::create(4);
    Node publisher(registry, {.bus_buffer = 4U << 20});
    Node awake(registry);
    Node asleep(registry);
    Subscriber quick = awake.subscriber("t");
    Subscriber late = asleep.subscriber("t");
    ck_assert(publisher.publish("t", "ready") == TopicResult::ok);
    quick.peer.expect_text("ready");
    late.peer.expect_text("ready");

    asleep.suspend();
    for (std::uint32_t i = 0; i < kMessages; ++i) {
        ck_assert(publisher.publish_many("t", 1, kSize, i) == TopicResult::ok);
        quick.peer.expect_text(publisher.numbered(i, kSize));
    }
    const std::uint64_t lost = publisher.losses(Drop::busy_process);
    ck_assert_uint_gt(lost, kMessages / 2);
    ck_assert_uint_lt(lost, kMessages - 20);

    asleep.signal(SIGCONT);
    for (std::uint64_t i = 0; i < kMessages - lost; ++i) {
        late.peer.expect_text(publisher.numbered(i, kSize));
    }
    ck_assert(publisher.publish("t", "awake") == TopicResult::ok);
    late.peer.expect_text("awake");
    quick.peer.expect_text("awake");
}
END_TEST

START_TEST(a_stopped_process_may_be_subscribed_with_published_to_and_killed) {
    constexpr std::uint32_t kMessages = kThreadSanitizer ? 10 : 50;
    const Registry registry = Registry::create(8);
    Node asleep(registry);
    const Subscriber late = asleep.subscriber("t");
    asleep.suspend();
    Node publisher(registry, {.bus_buffer = 4U << 20});
    Node subscriber(registry);
    Subscriber awake = subscriber.subscriber("t");
    for (std::uint32_t i = 0; i < kMessages; ++i) {
        ck_assert(publisher.publish_many("t", 1, 1'000'000, i) == TopicResult::ok);
        awake.peer.expect_text(publisher.numbered(i, 1'000'000));
    }
    asleep.kill();
    ck_assert(publisher.publish("t", "gone") == TopicResult::ok);
    awake.peer.expect_text("gone");
    publisher.stop();
    subscriber.stop();
}
END_TEST

/// Whoever ends waits for it, but not for long.
START_TEST(a_stopped_process_does_not_keep_others_from_ending) {
    const Registry registry = Registry::create(4);
    Node asleep(registry);
    const Subscriber late = asleep.subscriber("t");
    asleep.suspend();
    Node publisher(registry);
    ck_assert(publisher.publish_many("t", 10, 1'000'000) == TopicResult::ok);
    publisher.stop();
}
END_TEST

START_TEST(small_messages_of_others_do_not_wait_for_a_large_one) {
    const Registry registry = Registry::create(4);
    Node large(registry);
    Node small(registry);
    Node subscriber(registry);
    Subscriber client = subscriber.subscriber("t");
    Subscriber other = subscriber.subscriber("small");
    ck_assert(large.publish_many("t", 1) == TopicResult::ok);
    client.peer.expect_text(large.numbered(0));
    large.publish_for_ever("t", 4U << 20);
    for (std::uint32_t i = 0; i < 100; ++i) {
        ck_assert(small.publish_many("small", 1, 0, i) == TopicResult::ok);
        other.peer.expect_text(small.numbered(i));
    }
}
END_TEST

START_TEST(a_stranger_that_connects_is_turned_away) {
    const Registry registry = Registry::create(4);
    Node node(registry);
    Subscriber client = node.subscriber("t");
    const std::uint64_t process = registry.address(0);
    for (const std::size_t size : {1U, 15U, 16U, 100U, 100'000U}) {
        Peer stranger(websocket::hub::connect_to(process));
        static_cast<void>(stranger.send_some(std::string(size, 'x')));
        if (size >= 16) {
            stranger.read_to_end();
        }
    }
    // With the secret, but with nonsense behind it.
    using namespace std::string_view_literals;
    for (const std::string_view nonsense : {"\0\0\0\0\1\0\0\0??"sv, "\xff\xff\xff\xff\1\0\0\0??"sv,
                                            "\1\0\0\0\0\0\0\0??"sv, "\1\0\0\0\2\0\0\0\7x"sv}) {
        Peer insider(websocket::hub::connect_to(process));
        insider.send({reinterpret_cast<const char*>(registry.secret().data()), 16});
        insider.send(nonsense);
        insider.read_to_end();
    }
    Node publisher(registry);
    ck_assert(publisher.publish("t", "x") == TopicResult::ok);
    client.peer.expect_text("x");
}
END_TEST

START_TEST(a_name_that_another_user_has_taken_belongs_to_nobody_any_more) {
    if (::geteuid() != 0) return;  // nobody else can be another user
    const Registry registry = Registry::create(2);
    Node killed(registry);
    const Subscriber client = killed.subscriber("t");
    const std::uint64_t name = registry.address(0);
    killed.kill();
    const OtherUser other(name, OtherUser::Backlog::room);
    Node publisher(registry);
    ck_assert(publisher.publish("t", "x") == TopicResult::ok);
    await_quietly([&] { return registry.address(0) == 0; }, "the slot to be free");
    ck_assert_uint_eq(publisher.losses(Drop::no_resources), 0);
}
END_TEST

START_TEST(a_slot_whose_name_another_user_keeps_busy_is_free_when_the_end_is_known) {
    if (::geteuid() != 0) return;  // nobody else can be another user
    Registry registry = Registry::create(2);
    Node killed(registry);
    const Subscriber client = killed.subscriber("t");
    const std::uint64_t name = registry.address(0);
    const pid_t pid = killed.pid();
    killed.kill();
    const OtherUser other(name, OtherUser::Backlog::full);
    Node publisher(registry);
    ck_assert(publisher.publish("t", "x") == TopicResult::ok);
    registry.reap(pid);
    Node next(registry);
    Subscriber subscriber = next.subscriber("u");  // "x" may still be under way
    ck_assert(publisher.publish("u", "y") == TopicResult::ok);
    subscriber.peer.expect_text("y");
}
END_TEST

// UBSan needs a descriptor to look at the type of an object.
#ifndef __SANITIZE_ADDRESS__
START_TEST(without_descriptors_publications_are_lost_and_counted_until_there_are_some) {
    const Registry registry = Registry::create(40);
    std::vector<Node> nodes;
    std::vector<Subscriber> clients;
    for (int i = 0; i < 20; ++i) {
        nodes.emplace_back(registry);
        clients.push_back(nodes.back().subscriber("t"));
    }
    Node poor(registry, {.descriptors = 16});
    ck_assert(poor.publish("t", "x") == TopicResult::ok);
    clients[0].peer.expect_text("x");
    await_quietly([&] { return poor.losses(Drop::no_resources) > 5; }, "losses");
    const std::uint64_t lost = poor.losses(Drop::no_resources);
    await_quietly(
        [&] {
            std::uint64_t got = 1;
            for (Subscriber& client : clients) got += client.peer.readable(0ms) ? 1U : 0U;
            return got + lost == clients.size();
        },
        "all others to get it");
}
END_TEST
#endif

WEBSOCKET_TEST_SUITE(local_bus) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, a_publication_reaches_the_subscribers_in_every_process);
    tcase_add_test(tests, each_process_knows_how_many_subscribers_there_are_in_all);
    tcase_add_test(tests, fifty_processes_reach_each_other);
    tcase_add_test(tests, what_is_published_after_a_subscription_reaches_it_in_any_process);
    tcase_add_test(tests, a_newcomer_hears_what_is_published_from_its_first_subscription_on);
    tcase_add_test(tests, equal_names_in_different_scopes_do_not_leak_between_processes);
    tcase_add_test(tests, a_process_has_no_bus_until_there_is_something_to_carry);
    tcase_add_test(tests, large_messages_arrive_whole_in_every_process);
    tcase_add_test(tests, messages_of_one_process_keep_their_order_and_none_is_missing);
    tcase_add_test(tests, what_a_process_publishes_right_before_it_ends_arrives);
    tcase_add_test(tests, who_ends_is_not_sent_to_any_more);
    tcase_add_test(tests, the_slots_of_killed_processes_are_found_and_used_again);
    tcase_add_test(tests, without_a_slot_there_is_no_subscription);
    tcase_add_test(tests, processes_that_are_killed_at_any_moment_harm_nobody_else);
    tcase_add_test(tests, a_stopped_process_delays_nobody_and_gets_what_the_queue_had_room_for);
    tcase_add_test(tests, a_stopped_process_may_be_subscribed_with_published_to_and_killed);
    tcase_add_test(tests, a_stopped_process_does_not_keep_others_from_ending);
    tcase_add_test(tests, small_messages_of_others_do_not_wait_for_a_large_one);
    tcase_add_test(tests, a_stranger_that_connects_is_turned_away);
    tcase_add_test(tests, a_name_that_another_user_has_taken_belongs_to_nobody_any_more);
    tcase_add_test(tests, a_slot_whose_name_another_user_keeps_busy_is_free_when_the_end_is_known);
#ifndef __SANITIZE_ADDRESS__
    tcase_add_test(tests,
                   without_descriptors_publications_are_lost_and_counted_until_there_are_some);
#endif
}
