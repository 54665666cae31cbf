// SPDX-License-Identifier: Apache-2.0
// A process ends and closes its connections one after the other.
#include <algorithm>
#include <atomic>
#include <thread>

#include "engine/service.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::engine::Departures;
using websocket::engine::Loop;
using websocket::engine::Refusal;
using websocket::engine::SharedFrame;
using websocket::protocol::CloseCode;

namespace {

using Clock = std::chrono::steady_clock;

/// What an overloaded machine may add to a timeout.
constexpr auto kDelay = kPatience;

CloseCode restart() noexcept { return CloseCode::service_restart; }

void drain(Service& service, std::chrono::milliseconds time) {
    service.engine().begin_drain({Clock::now() + time, restart});
}

void await_stopped(Service& service) {
    await_quietly([&] { return service.engine().stopped(); }, "the loops' end");
}

void expect_departures(Service& service, std::uint32_t in_order, std::uint32_t forced) {
    const Departures departures = service.engine().departures();
    ck_assert_uint_eq(departures.in_order, in_order);
    ck_assert_uint_eq(departures.forced, forced);
}

/// Two connections of a loop: when the second gets its Close, the turn of the first is over.
struct InTurn {
    explicit InTurn(Service& service, const Behaviour& behaviour)
        : first(service.connect(behaviour)), second(service.connect(behaviour)) {
        if (first.id.slot() > second.id.slot()) std::swap(first, second);
        first.await_open();
        second.await_open();
    }
    Client first;
    Client second;
};

void leave(Client& client) {
    client.peer.expect_close(1012);
    client.peer.send_close(1012);
    client.peer.expect_end();
    client.peer.disconnect();
}

}  // namespace

START_TEST(closes_one_after_the_other) {
    Service service({.loops = 2});
    std::vector<Client> clients;
    for (int i = 0; i < 20; ++i) {
        clients.push_back(service.connect());
        clients.back().await_open();
    }
    const auto begin = Clock::now();
    drain(service, 4000ms);
    std::vector<Clock::time_point> times;
    for (Client& client : clients) {
        leave(client);
        times.push_back(Clock::now());
    }
    // The first and the last of each loop's ten are 9/10 of the spread of 3000 ms apart.
    ck_assert(times.back() - times.front() > 1000ms);
    ck_assert(times.back() - begin < 4000ms + kDelay);
    service.await_empty();
    expect_departures(service, 20, 0);
}
END_TEST

START_TEST(sockets_work_until_it_is_their_turn) {
    Service service;
    Client client = service.connect(service.echo());
    client.await_open();
    drain(service, 4000ms);
    std::size_t echoes = 0;
    for (;; ++echoes) {
        client.peer.send_text("x");
        const Frame frame = client.peer.receive();
        if (frame.opcode == Opcode::close) break;
        ck_assert(frame.payload == "x");
    }
    ck_assert_uint_gt(echoes, 0);
    ck_assert_uint_eq(client.record->get().messages.size(), echoes);
    client.expect_closed(1012, false);
}
END_TEST

START_TEST(whatever_was_handled_was_answered_before_the_close) {
    Service service;
    Client client = service.connect(service.echo());
    client.await_open();
    std::string batch;
    for (int i = 0; i < 100; ++i) batch += masked(Opcode::text, std::string(1000, 'x'));
    drain(service, 400ms);
    std::thread writer([&] {
        // Whatever the server takes; it ends in the middle of something.
        while (!client.closed()) {
            if (client.peer.send_some(batch) == 0) std::this_thread::yield();
        }
    });
    std::size_t echoes = 0;
    Frame frame;
    while ((frame = client.peer.receive()).opcode == Opcode::text) ++echoes;
    writer.join();
    ck_assert_int_eq(static_cast<int>(frame.opcode), static_cast<int>(Opcode::close));
    ck_assert_uint_eq(client.record->get().messages.size(), echoes);
}
END_TEST

START_TEST(who_comes_in_a_drain_is_served_and_gets_a_turn) {
    Service service;
    Client old = service.connect();
    old.await_open();
    Service never_started;
    for (Service* where : {&service, &never_started}) {
        const std::uint32_t before = where->engine().taken();
        drain(*where, 60s);
        Client late = where->connect(where->reserve(), where->echo());
        late.peer.send_text("x");
        late.peer.expect_text("x");
        ck_assert_uint_eq(where->engine().taken(), before + 1);
        drain(*where, 1000ms);
        leave(late);
    }
    leave(old);
}
END_TEST

START_TEST(nobody_is_taken_when_the_time_is_over) {
    Service service;
    Client client = service.connect();
    client.await_open();
    drain(service, 0ms);
    Refusal why{};
    ck_assert(!service.engine().reserve(why).has_value());
    ck_assert(why == Refusal::stopping);
    leave(client);
    Service never_started;
    drain(never_started, 0ms);
    ck_assert(!never_started.engine().reserve(why).has_value());
    ck_assert(why == Refusal::stopping);
    ck_assert(never_started.engine().stopped());
    expect_departures(never_started, 0, 0);
}
END_TEST

START_TEST(whose_handshake_is_answered_when_the_time_ends_gets_a_close) {
    Service service;
    Engine::Place place = service.reserve();
    Client client = service.connect();
    client.await_open();
    drain(service, 0ms);
    leave(client);
    ck_assert(!service.engine().stopped());
    Client late = service.connect(std::move(place));
    leave(late);
    await_stopped(service);
}
END_TEST

START_TEST(handshakes_that_were_under_way_are_served_and_get_their_turn) {
    Service service;
    Client first = service.connect();  // in the slot before theirs
    first.await_open();
    std::vector<Engine::Place> places;
    for (int i = 0; i < 2; ++i) places.push_back(service.reserve());
    Client last = service.connect();  // in the slot behind theirs
    last.await_open();
    const auto begin = Clock::now();
    drain(service, 8000ms);
    first.peer.expect_close(1012);
    last.peer.expect_close(1012);
    for (Engine::Place& place : places) {
        Client late = service.connect(std::move(place), service.echo());
        late.peer.send_text("x");
        late.peer.expect_text("x");
        leave(late);
    }
    ck_assert(Clock::now() - begin < 8000ms + kDelay);
}
END_TEST

START_TEST(a_message_that_is_coming_in_is_answered_first) {
    Service service;
    InTurn two(service, service.echo());
    Client& client = two.first;
    const std::string frame = masked(Opcode::text, "whole at last");
    client.peer.send(masked(Opcode::text, "a"));
    client.peer.expect_text("a");
    client.peer.send(frame.substr(0, 7));
    drain(service, 12s);
    leave(two.second);
    ck_assert(!client.peer.readable(0ms));
    client.peer.send(frame.substr(7) + masked(Opcode::text, "one too many"));
    client.peer.expect_text("whole at last");
    leave(client);
    ck_assert_uint_eq(client.record->get().messages.size(), 2);
    service.await_empty();
    expect_departures(service, 2, 0);
}
END_TEST

START_TEST(a_long_message_that_is_received_in_place_is_answered_first) {
    Service service;
    InTurn two(service, service.echo());
    Client& client = two.first;
    const std::string payload(1'000'000, 'x');
    const std::string frame = masked(Opcode::text, payload);
    client.peer.send(std::string_view(frame).substr(0, 500'000));
    drain(service, 12s);
    leave(two.second);
    ck_assert(!client.peer.readable(0ms));
    std::thread writer([&] { client.peer.send(std::string_view(frame).substr(500'000)); });
    client.peer.expect_text(payload);
    writer.join();
    leave(client);
}
END_TEST

START_TEST(a_message_that_goes_out_in_parts_is_completed_first) {
    Service service;
    InTurn two(service, {});
    Client& client = two.first;
    const auto part = [&](Opcode opcode, std::string_view payload, bool fin) {
        ck_assert(service.engine().send(client.id, SharedFrame::build(opcode, bytes(payload), fin),
                                        service.options.send_buffer) == SendResult::ok);
    };
    part(Opcode::text, "a", false);
    drain(service, 12s);
    leave(two.second);
    part(Opcode::continuation, "b", false);
    ck_assert(service.send(client.id, "behind") == SendResult::ok);
    client.peer.expect(Opcode::text, "a");
    client.peer.expect(Opcode::continuation, "b");
    client.peer.send_text("is heard meanwhile");
    client.record->await([](const Story& story) { return story.messages.size() == 1; },
                         "a message");
    part(Opcode::continuation, "c", true);
    client.peer.expect(Opcode::continuation, "c");
    client.peer.expect_text("behind");
    leave(client);
    service.await_empty();
    expect_departures(service, 2, 0);
}
END_TEST

START_TEST(a_message_that_never_ends_is_cut_off_at_the_deadline) {
    Service service;
    Client client = service.connect();
    client.await_open();
    client.peer.send(masked(Opcode::text, "half a frame").substr(0, 7));
    const auto begin = Clock::now();
    drain(service, 800ms);
    client.peer.expect_close(1012);
    const auto time = Clock::now() - begin;
    ck_assert(time >= 800ms);
    ck_assert(time < 800ms + kDelay);
    client.expect_closed(1012, false);
    client.peer.disconnect();
    await_stopped(service);
    expect_departures(service, 0, 1);
}
END_TEST

START_TEST(what_the_application_has_is_answered_before_the_close) {
    Door asked;
    Service service;
    service.options.close_timeout = 100ms;  // does not hurry it
    Client client = service.connect({.drained = [&](ConnectionId) {
        asked.open();
        return false;
    }});
    client.await_open();
    client.peer.send_text("question");
    client.await_messages(1);
    drain(service, 8000ms);
    asked.await("the turn of the connection");
    client.peer.send_text("not read any more");
    ck_assert(!client.peer.readable(500ms));
    ck_assert(service.send(client.id, "answer") == SendResult::ok);
    service.engine().resume(client.id);
    client.peer.expect_text("answer");
    leave(client);
    ck_assert_uint_eq(client.record->get().messages.size(), 1);
    service.await_empty();
    expect_departures(service, 1, 0);
}
END_TEST

START_TEST(an_application_that_never_answers_is_cut_off_at_the_deadline) {
    Service service;
    service.options.close_timeout = 100ms;
    Client client = service.connect({.drained = [](ConnectionId) { return false; }});
    client.await_open();
    drain(service, 600ms);
    client.peer.expect_close(1012);
    client.expect_closed(1012, false);
    client.peer.disconnect();
    await_stopped(service);
    expect_departures(service, 0, 1);
}
END_TEST

START_TEST(the_application_learns_whether_the_peer_has_answered) {
    Service service;
    std::vector<Client> clients;
    for (int i = 0; i < 100; ++i) clients.push_back(service.connect());
    for (Client& client : clients) client.await_open();
    std::ranges::sort(clients, {}, [](const Client& client) { return client.id.slot(); });
    Client& answers = clients[0];
    Client& goes = clients[1];
    drain(service, 60s);  // the first have their turn within a second, the deadline is far
    for (Client* client : {&answers, &goes}) client->peer.expect_close(1012);
    ck_assert(!answers.closed());
    answers.peer.send_text("read away");
    answers.peer.send(masked(Opcode::ping, ""));
    answers.peer.send_close(1000);
    goes.peer.disconnect();
    const CloseInfo clean = answers.await_close();
    ck_assert_uint_eq(clean.code, 1012);
    ck_assert(clean.clean && !clean.by_peer);
    ck_assert(answers.record->get().messages.empty());
    answers.peer.expect_end();
    const CloseInfo unclean = goes.await_close();
    ck_assert_uint_eq(unclean.code, 1012);
    ck_assert(!unclean.clean && !unclean.by_peer);
}
END_TEST

START_TEST(a_peer_that_does_not_answer_is_waited_for_no_longer_than_for_others) {
    Service service;
    service.options.close_timeout = 100ms;
    Client client = service.connect();
    client.await_open();
    drain(service, 8s);
    client.peer.expect_close(1012);
    client.expect_closed(1012, false);
    client.peer.expect_end();
    service.await_empty();
    expect_departures(service, 1, 0);
}
END_TEST

START_TEST(sessions_are_told_how_much_time_they_have) {
    Awaited<std::vector<std::chrono::milliseconds>> told;
    Service service({.loops = 2});
    const Behaviour listens{.on_drain = [&](ConnectionId, std::chrono::milliseconds left) {
        told.update([left](auto& times) { times.push_back(left); });
    }};
    std::vector<Client> clients;
    for (int i = 0; i < 50; ++i) clients.push_back(service.connect(listens));
    for (Client& client : clients) client.await_open();
    Engine::Place place = service.reserve();
    drain(service, 2 * kDelay);
    told.await([](const auto& times) { return times.size() == 50; }, "all being told");
    for (const auto left : told.get()) {
        ck_assert(left > kDelay);
        ck_assert(left < 2 * kDelay + 10ms);
    }
    clients.push_back(service.connect(std::move(place), listens));
    told.await([](const auto& times) { return times.size() == 51; }, "the latecomer being told");
    drain(service, 1s);  // nobody is told twice, as the session insists
    for (Client& client : clients) leave(client);
}
END_TEST

START_TEST(more_connections_than_one_step_handles_are_all_told_and_closed) {
    std::atomic<int> told{0};
    Service service;
    std::vector<Engine::Place> places;  // most slots are taken but not served
    for (int i = 0; i < 9000; ++i) places.push_back(service.reserve());
    std::vector<Client> clients;
    for (int i = 0; i < 5; ++i) {
        clients.push_back(service.connect({.on_drain = [&](auto, auto) { ++told; }}));
    }
    for (Client& client : clients) client.await_open();
    drain(service, 500ms);
    for (Client& client : clients) leave(client);
    ck_assert_int_eq(told, 5);
}
END_TEST

START_TEST(the_deadline_can_come_closer_and_not_go_away) {
    Service service;
    std::vector<Client> clients;
    for (int i = 0; i < 5; ++i) clients.push_back(service.connect());
    for (Client& client : clients) client.await_open();
    const auto begin = Clock::now();
    drain(service, 600s);
    drain(service, 500ms);
    drain(service, 600s);
    for (Client& client : clients) leave(client);
    ck_assert(Clock::now() - begin < 500ms + kDelay);
    await_stopped(service);
    expect_departures(service, 5, 0);
}
END_TEST

START_TEST(the_code_may_change_while_it_goes_on) {
    static std::atomic<CloseCode> code{CloseCode::service_restart};
    Service service;
    std::vector<Client> clients;
    for (int i = 0; i < 2; ++i) clients.push_back(service.connect());
    for (Client& client : clients) client.await_open();
    service.engine().begin_drain({Clock::now() + 8000ms, []() noexcept { return code.load(); }});
    const bool first_is_first = clients[0].id.slot() < clients[1].id.slot();
    Client& first = clients[first_is_first ? 0 : 1];
    Client& second = clients[first_is_first ? 1 : 0];
    first.peer.expect_close(1012);
    code = CloseCode::going_away;
    second.peer.expect_close(1001);
}
END_TEST

START_TEST(a_stop_ends_the_drain_at_once) {
    Service service({.loops = 2});
    std::vector<Client> clients;
    for (int i = 0; i < 6; ++i) clients.push_back(service.connect());
    for (Client& client : clients) client.await_open();
    const auto begin = Clock::now();
    drain(service, 600s);
    service.engine().begin_stop();
    for (Client& client : clients) {
        client.peer.expect_close(1001);
        client.peer.disconnect();
    }
    await_stopped(service);
    ck_assert(Clock::now() - begin < Loop::kStopTimeout + kDelay);
    expect_departures(service, 0, 6);
}
END_TEST

START_TEST(without_time_all_are_closed_at_once) {
    Service service;
    std::vector<Client> clients;
    for (int i = 0; i < 20; ++i) clients.push_back(service.connect());
    for (Client& client : clients) client.await_open();
    drain(service, 0ms);
    for (Client& client : clients) leave(client);
    await_stopped(service);
}
END_TEST

START_TEST(nobody_can_stay_beyond_the_deadline) {
    Service service;
    Client silent = service.connect();
    Client full = service.connect({}, {.socket_buffer = 8'000});
    Client paused =
        service.connect({.on_message = [](ConnectionId, Message) { return Flow::pause; }});
    Client busy = service.connect({.drained = [](ConnectionId) { return false; }});
    Client closing = service.connect();
    for (Client* client : {&silent, &full, &paused, &busy, &closing}) client->await_open();
    while (service.send(full.id, std::string(100'000, 'x')) == SendResult::ok) {
    }
    paused.peer.send_text("pause");
    paused.await_messages(1);
    service.close(closing.id, 4000);
    const auto begin = Clock::now();
    drain(service, 500ms);
    await_stopped(service);
    ck_assert(Clock::now() - begin < 500ms + Loop::kStopTimeout + kDelay);
    for (Client* client : {&silent, &full, &paused, &busy, &closing}) ck_assert(client->closed());
}
END_TEST

START_TEST(clients_that_go_by_themselves_are_not_counted) {
    Service service;
    Client polite = service.connect();
    Client rude = service.connect();
    for (Client* client : {&polite, &rude}) client->await_open();
    drain(service, 600s);
    polite.peer.send_close(1000);
    polite.peer.expect_close(1000);
    polite.peer.disconnect();
    rude.peer.reset();
    service.await_empty();
    expect_departures(service, 0, 0);
}
END_TEST

START_TEST(a_close_of_the_peer_inside_of_its_message_counts_more) {
    Service service;
    InTurn two(service, {});
    Client& client = two.first;
    client.peer.send(masked(Opcode::text, "a fragment", false));
    drain(service, 12s);
    leave(two.second);
    ck_assert(!client.peer.readable(0ms));
    client.peer.send_close(1000);
    client.peer.expect_close(1000);
    client.expect_closed(1000, true);
}
END_TEST

START_TEST(handshakes_and_orders_may_meet) {
    for (int round = 0; round < 10; ++round) {
        Service service({.loops = 2});
        std::vector<Client> clients;
        std::vector<std::thread> threads;
        for (int i = 0; i < 20; ++i) {
            Refusal why{};
            auto place = service.engine().reserve(why);
            if (i == 10) {
                for (const auto time : {200ms, 100ms}) {
                    threads.emplace_back([&service, time] { drain(service, time); });
                }
            }
            if (place) clients.push_back(service.connect(std::move(*place)));
        }
        for (std::thread& thread : threads) thread.join();
        for (Client& client : clients) client.await_close();
        for (Client& client : clients) {
            client.peer.disconnect();
            ck_assert_uint_eq(client.record->get().closes.size(), 1);
        }
    }
}
END_TEST

START_TEST(a_drain_that_meets_the_first_reservation_is_not_lost) {
    for (int round = 0; round < 20; ++round) {
        Service service;
        std::thread other([&] { drain(service, 0ms); });
        Refusal why{};
        { const auto place = service.engine().reserve(why); }
        other.join();
        await_stopped(service);
    }
}
END_TEST

WEBSOCKET_TEST_SUITE(engine_drain) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, closes_one_after_the_other);
    tcase_add_test(tests, sockets_work_until_it_is_their_turn);
    tcase_add_test(tests, whatever_was_handled_was_answered_before_the_close);
    tcase_add_test(tests, who_comes_in_a_drain_is_served_and_gets_a_turn);
    tcase_add_test(tests, nobody_is_taken_when_the_time_is_over);
    tcase_add_test(tests, whose_handshake_is_answered_when_the_time_ends_gets_a_close);
    tcase_add_test(tests, a_message_that_goes_out_in_parts_is_completed_first);
    tcase_add_test(tests, a_message_that_never_ends_is_cut_off_at_the_deadline);
    tcase_add_test(tests, what_the_application_has_is_answered_before_the_close);
    tcase_add_test(tests, an_application_that_never_answers_is_cut_off_at_the_deadline);
    tcase_add_test(tests, the_application_learns_whether_the_peer_has_answered);
    tcase_add_test(tests, a_peer_that_does_not_answer_is_waited_for_no_longer_than_for_others);
    tcase_add_test(tests, sessions_are_told_how_much_time_they_have);
    tcase_add_test(tests, more_connections_than_one_step_handles_are_all_told_and_closed);
    tcase_add_test(tests, the_deadline_can_come_closer_and_not_go_away);
    tcase_add_test(tests, the_code_may_change_while_it_goes_on);
    tcase_add_test(tests, a_stop_ends_the_drain_at_once);
    tcase_add_test(tests, without_time_all_are_closed_at_once);
    tcase_add_test(tests, nobody_can_stay_beyond_the_deadline);
    tcase_add_test(tests, clients_that_go_by_themselves_are_not_counted);
    tcase_add_test(tests, handshakes_and_orders_may_meet);
    tcase_add_test(tests, a_drain_that_meets_the_first_reservation_is_not_lost);
}

// Those that wait longest, beside the others.
WEBSOCKET_TEST_SUITE(engine_drain_turns) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, handshakes_that_were_under_way_are_served_and_get_their_turn);
    tcase_add_test(tests, a_message_that_is_coming_in_is_answered_first);
    tcase_add_test(tests, a_long_message_that_is_received_in_place_is_answered_first);
    tcase_add_test(tests, a_close_of_the_peer_inside_of_its_message_counts_more);
}
