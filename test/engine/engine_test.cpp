// SPDX-License-Identifier: Apache-2.0
#include "engine/engine.hpp"

#include <set>

#include "engine/service.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::engine::Loop;
using websocket::engine::Refusal;

namespace {

using Clock = std::chrono::steady_clock;

/// What an overloaded machine may add to a timeout.
constexpr std::chrono::seconds kStopDelay{2};

}  // namespace

START_TEST(a_process_without_websockets_has_no_threads) {
    Service service({.loops = 4});
    ck_assert(service.engine().stopped());
    ck_assert(service.send(ConnectionId(0, 0, 1), "x") == SendResult::gone);
    { const Engine::Place place = service.reserve(); }
    ck_assert(!service.engine().stopped());
    ck_assert_uint_eq(service.engine().connections(), 0);
}
END_TEST

START_TEST(connections_are_spread_over_all_loops) {
    Service service({.loops = 4});
    std::set<std::uint32_t> loops;
    std::vector<Client> clients;
    for (int i = 0; i < 8; ++i) {
        clients.push_back(service.connect(service.echo()));
        loops.insert(clients.back().id.loop());
    }
    ck_assert_uint_eq(loops.size(), 4);
    for (Client& client : clients) {
        client.peer.send_text("x");
        client.peer.expect_text("x");
    }
}
END_TEST

START_TEST(connections_of_different_loops_may_send_to_each_other) {
    Service service({.loops = 2});
    Client first = service.connect();
    first.await_open();
    Client second = service.connect({.on_message = [&](ConnectionId, Message message) {
        static_cast<void>(service.send(first.id, text_of(message.payload)));
        return Flow::more;
    }});
    ck_assert_uint_ne(first.id.loop(), second.id.loop());
    for (int i = 0; i < 100; ++i) second.peer.send_text(std::to_string(i));
    for (int i = 0; i < 100; ++i) first.peer.expect_text(std::to_string(i));
}
END_TEST

START_TEST(takes_as_many_connections_as_allowed_and_goes_on_when_one_has_ended) {
    Service service({.loops = 2, .max_connections = 3});
    std::vector<Client> clients;
    for (int i = 0; i < 3; ++i) clients.push_back(service.connect());
    Refusal why{};
    ck_assert(!service.engine().reserve(why).has_value());
    ck_assert(why == Refusal::too_many_connections);
    ck_assert_uint_eq(service.engine().connections(), 3);
    clients.front().peer.reset();
    await_quietly([&] { return service.engine().connections() == 2; }, "a free place");
    clients.push_back(service.connect(service.echo()));
    clients.back().peer.send_text("x");
    clients.back().peer.expect_text("x");
}
END_TEST

START_TEST(a_place_that_is_not_used_is_free_again_and_its_id_stale) {
    Service service({.max_connections = 1});
    ConnectionId id;
    {
        Engine::Place place = service.reserve();
        Engine::Place moved = std::move(place);
        id = moved.id();
        ck_assert_uint_eq(service.engine().connections(), 1);
    }
    ck_assert_uint_eq(service.engine().connections(), 0);
    ck_assert(service.send(id, "x") == SendResult::gone);
    ck_assert(!(service.reserve().id() == id));
}
END_TEST

START_TEST(many_threads_may_reserve_at_once) {
    std::atomic<int> granted{0};
    std::atomic<int> refused{0};
    Door go;
    Service service({.loops = 3, .max_connections = 50});
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            std::vector<Engine::Place> places;
            Refusal why{};
            while (auto place = service.engine().reserve(why)) {
                places.push_back(std::move(*place));
                ++granted;
            }
            ++refused;
            static_cast<void>(go.passed());
        });
    }
    await_quietly([&] { return refused == 4; }, "all places to be taken");
    go.open();
    for (std::thread& thread : threads) thread.join();
    ck_assert_int_eq(granted, 50);
    ck_assert_uint_eq(service.engine().connections(), 0);
}
END_TEST

START_TEST(stopping_closes_everybody_with_1001) {
    Service service({.loops = 2});
    std::vector<Client> clients;
    for (int i = 0; i < 20; ++i) clients.push_back(service.connect());
    service.engine().begin_stop();
    service.engine().begin_stop();
    for (Client& client : clients) {
        client.peer.expect_close(1001);
        client.expect_closed(1001, false);
        client.peer.disconnect();
    }
    const auto before = Clock::now();
    service.stop();
    ck_assert(Clock::now() - before < Loop::kStopTimeout + kStopDelay);
}
END_TEST

START_TEST(no_peer_and_no_session_can_delay_the_stop) {
    Service service;
    Client silent = service.connect();
    Client full = service.connect({}, {.socket_buffer = 8'000});
    Client paused =
        service.connect({.on_message = [](ConnectionId, Message) { return Flow::pause; }});
    Client draining = service.connect({.drained = [](ConnectionId) { return false; }});
    Client closing = service.connect();
    for (Client* client : {&silent, &full, &paused, &draining, &closing}) client->await_open();
    while (service.send(full.id, std::string(100'000, 'x')) == SendResult::ok) {
    }
    paused.peer.send_text("pause");
    paused.await_messages(1);
    draining.peer.send_close(1000);
    service.close(closing.id, 4000);
    closing.peer.expect_close(4000);
    const auto before = Clock::now();
    service.engine().begin_stop();
    await_quietly([&] { return service.engine().stopped(); }, "the loops' end");
    ck_assert(Clock::now() - before < Loop::kStopTimeout + kStopDelay);
    for (Client* client : {&silent, &full, &paused, &draining, &closing}) {
        ck_assert(client->closed());
    }
}
END_TEST

START_TEST(after_the_stop_there_are_no_places) {
    Service service;
    { const Client client = service.connect(); }
    service.engine().begin_stop();
    Refusal why{};
    ck_assert(!service.engine().reserve(why).has_value());
    ck_assert(why == Refusal::stopping);
    Service never_started;
    never_started.engine().begin_stop();
    ck_assert(never_started.engine().stopped());
    ck_assert(!never_started.engine().reserve(why).has_value());
    ck_assert(why == Refusal::stopping);
}
END_TEST

START_TEST(a_connection_that_comes_after_the_stop_is_told_and_closed) {
    Service service;
    Engine::Place place = service.reserve();
    const ConnectionId id = place.id();
    service.engine().begin_stop();
    await_quietly([&] { return service.engine().stopped(); }, "the loops' end");
    ck_assert(service.send(id, "x") == SendResult::closing);  // not open yet
    Client late = service.connect(std::move(place));
    late.expect_closed(1006, false);
    ck_assert(!late.record->get().opened);
    late.peer.expect_end();
    ck_assert(service.send(id, "x") == SendResult::gone);
    ck_assert_uint_eq(service.engine().connections(), 0);
}
END_TEST

START_TEST(connections_that_come_while_it_stops_are_closed_exactly_once) {
    for (int round = 0; round < 30; ++round) {
        Service service({.loops = 2});
        std::vector<Client> clients;
        std::thread stopper;
        for (int i = 0; i < 20; ++i) {
            Refusal why{};
            auto place = service.engine().reserve(why);
            if (i == 10) stopper = std::thread([&] { service.engine().begin_stop(); });
            if (place) clients.push_back(service.connect(std::move(*place)));
        }
        stopper.join();
        for (Client& client : clients) {
            client.await_close();
            client.peer.disconnect();
        }
        service.stop();
        for (Client& client : clients) {
            ck_assert_uint_eq(client.record->get().closes.size(), 1);
        }
    }
}
END_TEST

START_TEST(senders_may_go_on_while_it_stops) {
    Service service({.loops = 2});
    std::vector<Client> clients;
    for (int i = 0; i < 4; ++i) clients.push_back(service.connect());
    std::vector<std::thread> threads;
    for (Client& client : clients) {
        client.await_open();
        threads.emplace_back([&service, id = client.id] {
            for (;;) {
                const SendResult result = service.send(id, std::string(1000, 'x'));
                if (result == SendResult::gone) return;
                if (result == SendResult::full) service.engine().wait_for_room(id, 0);
            }
        });
    }
    service.engine().begin_stop();
    for (std::thread& thread : threads) thread.join();
}
END_TEST

WEBSOCKET_TEST_SUITE(engine) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, a_process_without_websockets_has_no_threads);
    tcase_add_test(tests, connections_are_spread_over_all_loops);
    tcase_add_test(tests, connections_of_different_loops_may_send_to_each_other);
    tcase_add_test(tests, takes_as_many_connections_as_allowed_and_goes_on_when_one_has_ended);
    tcase_add_test(tests, a_place_that_is_not_used_is_free_again_and_its_id_stale);
    tcase_add_test(tests, many_threads_may_reserve_at_once);
    tcase_add_test(tests, stopping_closes_everybody_with_1001);
    tcase_add_test(tests, no_peer_and_no_session_can_delay_the_stop);
    tcase_add_test(tests, after_the_stop_there_are_no_places);
    tcase_add_test(tests, a_connection_that_comes_after_the_stop_is_told_and_closed);
    tcase_add_test(tests, connections_that_come_while_it_stops_are_closed_exactly_once);
    tcase_add_test(tests, senders_may_go_on_while_it_stops);
}
