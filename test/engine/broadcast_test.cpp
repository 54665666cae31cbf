// SPDX-License-Identifier: Apache-2.0
// One frame for many connections, from any thread, in order.
#include <array>
#include <atomic>
#include <mutex>
#include <set>
#include <vector>

#include "engine/engine.hpp"
#include "engine/service.hpp"
#include "failing_allocator.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::engine::GroupId;
using websocket::engine::GroupListener;
using websocket::engine::SharedFrame;

namespace {

constexpr GroupId kGroup = 1;

/// Remembers what the loops report.
class Listener final : public GroupListener {
public:
    void on_gone(ConnectionId id) noexcept override {
        const ForTheTest memory;
        gone.update([id](auto& ids) { ids.insert(id.value()); });
    }
    void on_too_slow(std::size_t members) noexcept override {
        const ForTheTest memory;
        too_slow.update([members](std::size_t& total) { total += members; });
    }
    Awaited<std::multiset<std::uint64_t>> gone;
    Awaited<std::size_t> too_slow;
};

/// A service whose connections can be sent to as one.
class GroupService {
public:
    explicit GroupService(const websocket::engine::EngineOptions& how = {}) : service(how) {
        service.engine().set_group_listener(listener);
    }

    Listener listener;
    Service service;

    [[nodiscard]] Client member(Behaviour behaviour = {}, const Wiring& wiring = {}) {
        Client client = service.connect(std::move(behaviour), wiring);
        client.await_open();
        ck_assert(service.engine().join(kGroup, client.id));
        return client;
    }
    SendResult broadcast(std::string_view text, ConnectionId except = {}, GroupId group = kGroup) {
        const SharedFrame frame = SharedFrame::build(Opcode::text, bytes(text));
        SendResult result = SendResult::ok;
        for (std::uint32_t loop = 0; loop < 2; ++loop) {
            const SendResult one = service.engine().broadcast(loop, group, frame, except);
            if (one != SendResult::gone) result = one;
        }
        return result;
    }
    void await_gone(ConnectionId id) {
        listener.gone.await([id](const auto& ids) { return ids.count(id.value()) > 0; }, "on_gone");
    }
};

}  // namespace

START_TEST(a_broadcast_reaches_the_members_on_every_loop_and_nobody_else) {
    GroupService hub({.loops = 2});
    std::vector<Client> members;
    for (int i = 0; i < 6; ++i) members.push_back(hub.member());
    Client stranger = hub.service.connect();
    stranger.await_open();
    ck_assert(hub.broadcast("first") == SendResult::ok);
    ck_assert(hub.broadcast("not for you", {}, kGroup + 1) == SendResult::ok);
    ck_assert(hub.broadcast("second", members[3].id) == SendResult::ok);
    ck_assert(hub.broadcast("third") == SendResult::ok);
    for (std::size_t i = 0; i < members.size(); ++i) {
        members[i].peer.expect_text("first");
        if (i != 3) members[i].peer.expect_text("second");
        members[i].peer.expect_text("third");
    }
    ck_assert(hub.service.send(stranger.id, "alone") == SendResult::ok);
    stranger.peer.expect_text("alone");
}
END_TEST

START_TEST(who_joins_or_leaves_before_a_broadcast_does_so_for_it) {
    GroupService hub;
    Client first = hub.member();
    Client second = hub.member();
    ck_assert(hub.service.engine().join(kGroup + 1, first.id));
    ck_assert(hub.broadcast("both") == SendResult::ok);
    hub.service.engine().leave(kGroup, first.id);
    ck_assert(hub.broadcast("second only") == SendResult::ok);
    ck_assert(hub.broadcast("first only", {}, kGroup + 1) == SendResult::ok);
    hub.service.engine().leave_all(first.id);
    ck_assert(hub.broadcast("nobody", {}, kGroup + 1) == SendResult::ok);
    ck_assert(hub.service.engine().join(kGroup, first.id));
    ck_assert(hub.broadcast("both again") == SendResult::ok);
    for (const char* text : {"both", "first only", "both again"}) first.peer.expect_text(text);
    for (const char* text : {"both", "second only", "both again"}) second.peer.expect_text(text);
}
END_TEST

/// The sender's own thread is the loop: what it does at once must not overtake what it has posted.
START_TEST(a_loop_keeps_the_order_of_its_sends_broadcasts_and_its_close) {
    GroupService hub;
    const auto on_message = [&](ConnectionId id, Message) {
        for (int i = 0; i < 3; ++i) {
            static_cast<void>(hub.service.send(id, "before"));
            static_cast<void>(hub.broadcast("for all"));
            static_cast<void>(hub.service.send(id, "after"));
        }
        hub.service.engine().leave(kGroup, id);
        static_cast<void>(hub.broadcast("for the other"));
        static_cast<void>(hub.service.send(id, "last"));
        hub.service.close(id, 4000);
        return Flow::more;
    };
    Client member = hub.member();
    Client speaker = hub.member({.on_message = on_message});
    speaker.peer.send_text("go");
    for (int i = 0; i < 3; ++i) {
        for (const char* text : {"before", "for all", "after"}) speaker.peer.expect_text(text);
        member.peer.expect_text("for all");
    }
    speaker.peer.expect_text("last");
    speaker.peer.expect_close(4000);
    member.peer.expect_text("for the other");
}
END_TEST

START_TEST(a_loop_sends_at_once_again_when_its_broadcasts_are_out) {
    std::atomic<int> rounds{0};
    GroupService hub;
    Client member = hub.member(hub.service.echo());
    Client speaker = hub.member({.on_message = [&](ConnectionId id, Message) {
        static_cast<void>(hub.broadcast(std::to_string(rounds++)));
        static_cast<void>(hub.service.send(id, "ok"));
        return Flow::more;
    }});
    for (int i = 0; i < 100; ++i) {
        speaker.peer.send_text("go");
        speaker.peer.expect_text(std::to_string(i));
        speaker.peer.expect_text("ok");
        member.peer.expect_text(std::to_string(i));
        member.peer.send_text("echo");
        member.peer.expect_text("echo");
    }
}
END_TEST

START_TEST(a_goodbye_to_all_goes_out_before_the_close_that_follows_it) {
    GroupService hub;
    for (int round = 0; round < 50; ++round) {
        Client member = hub.member();
        ck_assert(hub.broadcast("goodbye") == SendResult::ok);
        ck_assert(hub.service.close(member.id, 4001));
        ck_assert(hub.broadcast("too late") == SendResult::ok);
        member.peer.expect_text("goodbye");
        member.peer.expect_close(4001);
    }
}
END_TEST

START_TEST(broadcasts_of_each_of_four_threads_keep_their_order_on_every_member) {
    constexpr int kThreads = 4;
    constexpr int kEach = 500;
    GroupService hub({.loops = 2, .broadcast_buffer = 1U << 30});
    hub.service.options.send_buffer = 64U << 20;
    std::vector<Client> members;
    for (int i = 0; i < 6; ++i) members.push_back(hub.member());
    std::vector<std::thread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
        threads.emplace_back([&, thread] {
            for (int i = 0; i < kEach; ++i) {
                std::string text = std::to_string(thread) + ":" + std::to_string(i);
                text.resize(i % 50 == 0 ? 100'000 : text.size(), ' ');
                if (hub.broadcast(text) != SendResult::ok) std::abort();
            }
        });
    }
    for (Client& member : members) {
        std::array<int, kThreads> next{};
        for (int i = 0; i < kThreads * kEach; ++i) {
            const std::string text = member.peer.receive().payload;
            const auto thread = static_cast<std::size_t>(std::stoi(text));
            ck_assert_int_eq(std::stoi(text.substr(text.find(':') + 1)), next.at(thread)++);
        }
    }
    for (std::thread& thread : threads) thread.join();
}
END_TEST

START_TEST(a_slow_member_loses_messages_and_delays_nobody) {
    GroupService hub;
    hub.service.options.send_buffer = 100'000;
    Client slow = hub.member({}, {.socket_buffer = 8'000});
    Client quick = hub.member();
    constexpr int kMessages = 300;
    for (int i = 0; i < kMessages; ++i) {
        ck_assert(hub.broadcast(std::string(50'000, 'x')) == SendResult::ok);
        quick.peer.expect_text(std::string(50'000, 'x'));
    }
    // What a broadcast has cost is reported when all members have been looked at, which the quick
    // one does not wait for; the next broadcast does.
    ck_assert(hub.broadcast("that was all", slow.id) == SendResult::ok);
    quick.peer.expect_text("that was all");
    const std::size_t lost = hub.listener.too_slow.get();
    ck_assert_uint_gt(lost, 0);
    // What is not lost is whole, and there is room again afterwards.
    for (std::size_t i = lost; i < kMessages; ++i) {
        slow.peer.expect_text(std::string(50'000, 'x'));
    }
    ck_assert(hub.broadcast("there is room") == SendResult::ok);
    slow.peer.expect_text("there is room");
    ck_assert(!slow.closed());
}
END_TEST

START_TEST(a_slow_member_is_closed_where_the_location_says_so) {
    GroupService hub;
    hub.service.options.send_buffer = 100'000;
    hub.service.options.closes_slow = true;
    Client slow = hub.member({}, {.socket_buffer = 8'000});
    Client quick = hub.member();
    while (hub.listener.too_slow.get() == 0) {
        ck_assert(hub.broadcast(std::string(50'000, 'x')) == SendResult::ok);
        quick.peer.expect_text(std::string(50'000, 'x'));
    }
    for (;;) {
        const Frame frame = slow.peer.receive();
        if (frame.opcode == Opcode::close) {
            ck_assert_str_eq(frame.payload.c_str() + 2, "too slow");
            break;
        }
        ck_assert_uint_eq(frame.payload.size(), 50'000);
    }
    slow.peer.send_close(1008);
    slow.expect_closed(1008, false);
    hub.await_gone(slow.id);
    ck_assert(hub.broadcast("go on") == SendResult::ok);
    quick.peer.expect_text("go on");
}
END_TEST

START_TEST(a_frame_that_the_socket_takes_in_part_is_not_copied) {
    GroupService hub;
    hub.service.options.send_buffer = 64U << 20;
    std::vector<Client> members;
    for (int i = 0; i < 4; ++i) members.push_back(hub.member({}, {.socket_buffer = 8'000}));
    const std::string big((kSanitizer ? 1U : 8U) << 20, 'x');
    const SharedFrame frame = SharedFrame::build(Opcode::text, bytes(big));
    {
        const FailingAllocator watch(FailingAllocator::kNever, Threads::all);
        ck_assert(hub.service.engine().broadcast(0, kGroup, frame, {}) == SendResult::ok);
        for (Client& member : members) {
            const ForTheTest memory;
            member.peer.expect_text(big);
        }
        ck_assert_uint_lt(FailingAllocator::largest(), 100'000);
    }
}
END_TEST

START_TEST(broadcasts_of_one_turn_arrive_in_order_and_are_counted_one_by_one) {
    constexpr int kMessages = 40;
    const auto text = [](int i) { return std::to_string(i) + std::string(1'000, 'x'); };
    GroupService hub;
    Client quick = hub.member();
    const auto report = std::make_shared<Report>();
    Client slow = hub.member({}, {.socket_buffer = 4'000, .report = report});
    Client compressing =
        hub.member({}, {.deflate = {.server_bits = 15, .client_bits = 15, .min_size = 256}});
    Client speaker = hub.service.connect({.on_message = [&](ConnectionId, Message) {
        for (int i = 0; i < kMessages; ++i) ck_assert(hub.broadcast(text(i)) == SendResult::ok);
        return Flow::more;
    }});
    speaker.peer.send_text("go");
    for (int i = 0; i < kMessages; ++i) {
        quick.peer.expect_text(text(i));
        ck_assert((compressing.peer.receive().bits & websocket::protocol::kRsv1) != 0);
    }
    for (int i = 0; i < kMessages; ++i) slow.peer.expect_text(text(i));
    slow.peer.send_close(1000);
    slow.peer.expect_close(1000);
    slow.peer.disconnect();
    const Account account =
        report->await([](const auto& all) { return !all.empty(); }, "the account").front();
    ck_assert_uint_eq(account.traffic.messages_out, kMessages);
    std::size_t bytes_out = 2 + 2;  // the Close
    for (int i = 0; i < kMessages; ++i) bytes_out += 4 + text(i).size();
    ck_assert_uint_eq(account.traffic.bytes_out, bytes_out);
}
END_TEST

START_TEST(broadcasts_that_wait_for_a_loop_are_bounded) {
    Door inside;
    Door go_on;
    GroupService hub({.broadcast_buffer = 100'000});
    Client member = hub.member();
    Client busy = hub.service.connect({.on_message = [&](ConnectionId, Message) {
        inside.open();
        static_cast<void>(go_on.passed());
        return Flow::more;
    }});
    busy.peer.send_text("stop the loop");
    inside.await("the loop to stop");
    int accepted = 0;
    while (hub.broadcast(std::string(1'000, 'x')) == SendResult::ok) ++accepted;
    ck_assert_int_gt(accepted, 50);
    ck_assert_int_le(accepted, 100);
    ck_assert(hub.broadcast("x") == SendResult::full);
    go_on.open();
    for (int i = 0; i < accepted; ++i) member.peer.expect_text(std::string(1'000, 'x'));
    await_quietly([&] { return hub.broadcast("again") == SendResult::ok; }, "room");
    member.peer.expect_text("again");
    ck_assert(hub.broadcast(std::string(1U << 20, 'x')) == SendResult::ok);
    member.peer.expect_text(std::string(1U << 20, 'x'));
}
END_TEST

START_TEST(too_big_a_frame_is_refused) {
    GroupService hub;
    const Client member = hub.member();
    const SharedFrame frame = SharedFrame::unwritten(std::size_t{1} << 28);
    ck_assert(hub.service.engine().broadcast(0, kGroup, frame, {}) == SendResult::too_big);
}
END_TEST

START_TEST(the_end_of_a_member_is_reported_once_and_a_late_join_as_well) {
    GroupService hub;
    Client member = hub.member();
    ck_assert(hub.service.engine().join(kGroup + 1, member.id));
    ck_assert(hub.broadcast("x") == SendResult::ok);
    member.peer.expect_text("x");
    const Client stranger = hub.service.connect();
    member.peer.reset();
    hub.await_gone(member.id);
    member.await_close();
    ck_assert(!hub.service.engine().join(kGroup, member.id));
    ck_assert(!hub.service.engine().join(kGroup, ConnectionId(77, 0, 1)));
    ck_assert(!hub.service.engine().join(kGroup, ConnectionId()));
    hub.service.engine().leave(kGroup, member.id);
    hub.service.engine().leave_all(member.id);
    // Nothing is served here yet.
    {
        const Engine::Place place = hub.service.reserve();
        ck_assert(hub.service.engine().join(kGroup, place.id()));
        hub.await_gone(place.id());
    }
    hub.service.stop();
    const auto gone = hub.listener.gone.get();
    ck_assert_uint_eq(gone.count(member.id.value()), 1);
    ck_assert_uint_eq(gone.count(stranger.id.value()), 0);
}
END_TEST

START_TEST(members_may_come_and_go_while_others_broadcast) {
    const std::string noise(20'000, 'x');
    std::atomic<bool> over{false};
    GroupService hub({.loops = 2});
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) {
        threads.emplace_back([&] {
            while (!over) static_cast<void>(hub.broadcast(noise));
        });
    }
    for (int round = 0; round < (kThreadSanitizer ? 8 : 20); ++round) {
        std::vector<Client> members;
        for (int i = 0; i < 5; ++i) members.push_back(hub.member());
        for (Client& member : members) member.peer.expect_text(noise);
        for (std::size_t i = 0; i < members.size(); ++i) {
            if (i % 2 == 0) {
                members[i].peer.reset();
                hub.await_gone(members[i].id);
            } else {
                hub.service.engine().leave(kGroup, members[i].id);
                hub.service.close(members[i].id, 1000);
                while (members[i].peer.receive().opcode != Opcode::close) {
                }
            }
        }
    }
    over = true;
    for (std::thread& thread : threads) thread.join();
}
END_TEST

/// Each allocation of each thread fails once: a connection may be lost, the service goes on.
START_TEST(without_memory_a_connection_ends_and_the_others_go_on) {
    for (std::size_t index = 0; index < 25; ++index) {
        GroupService hub;
        Client first = hub.member();
        Client second = hub.service.connect();
        second.await_open();
        {
            const FailingAllocator allocator(index, Threads::all);
            try {
                static_cast<void>(hub.service.engine().join(kGroup, second.id));
                static_cast<void>(hub.broadcast("maybe"));
                hub.service.engine().leave(kGroup, second.id);
            } catch (const std::bad_alloc&) {
            }
            const ForTheTest memory;
            ck_assert(hub.service.send(first.id, "last") != SendResult::full);
            std::string last;
            for (Frame frame; frame.payload != "last" && frame.opcode != Opcode::close;) {
                frame = first.peer.receive();
            }
        }
        Client third = hub.member();
        hub.service.engine().leave(kGroup, second.id);
        ck_assert(hub.broadcast("certainly") == SendResult::ok);
        third.peer.expect_text("certainly");
    }
}
END_TEST

WEBSOCKET_TEST_SUITE(broadcast) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, a_broadcast_reaches_the_members_on_every_loop_and_nobody_else);
    tcase_add_test(tests, who_joins_or_leaves_before_a_broadcast_does_so_for_it);
    tcase_add_test(tests, a_loop_keeps_the_order_of_its_sends_broadcasts_and_its_close);
    tcase_add_test(tests, a_loop_sends_at_once_again_when_its_broadcasts_are_out);
    tcase_add_test(tests, a_goodbye_to_all_goes_out_before_the_close_that_follows_it);
    tcase_add_test(tests, broadcasts_of_each_of_four_threads_keep_their_order_on_every_member);
    tcase_add_test(tests, a_slow_member_loses_messages_and_delays_nobody);
    tcase_add_test(tests, a_slow_member_is_closed_where_the_location_says_so);
    tcase_add_test(tests, a_frame_that_the_socket_takes_in_part_is_not_copied);
    tcase_add_test(tests, broadcasts_of_one_turn_arrive_in_order_and_are_counted_one_by_one);
    tcase_add_test(tests, broadcasts_that_wait_for_a_loop_are_bounded);
    tcase_add_test(tests, too_big_a_frame_is_refused);
    tcase_add_test(tests, the_end_of_a_member_is_reported_once_and_a_late_join_as_well);
    tcase_add_test(tests, members_may_come_and_go_while_others_broadcast);
    tcase_add_test(tests, without_memory_a_connection_ends_and_the_others_go_on);
}
