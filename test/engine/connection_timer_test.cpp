// SPDX-License-Identifier: Apache-2.0
// Pings, dead peers, and closing handshakes that nobody answers.
#include "engine/connection.hpp"

#include <algorithm>
#include <thread>

#include "engine/service.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::engine::SharedFrame;

namespace {

using Clock = std::chrono::steady_clock;

/// A timeout that must not run out: no test waits so long for anything.
constexpr std::chrono::seconds kFar{2 * kPatience};

/// Two connections, one behind the other, measure the time: each lives at least as long as a dead peer
/// would.
void wait_as_long_as_a_dead_peer_lives(Service& service) {
    for (int i = 0; i < 2; ++i) {
        Client clock = service.connect();
        clock.expect_closed(1011, false);
    }
}

}  // namespace

START_TEST(a_silent_peer_gets_a_ping) {
    Service service;
    service.options.ping_interval = 64ms;
    Client client = service.connect();
    const Frame ping = client.peer.receive();
    ck_assert_int_eq(static_cast<int>(ping.opcode), static_cast<int>(Opcode::ping));
    ck_assert(!ping.payload.empty());
}
END_TEST

/// "Rounded up, so that a timer never fires early", says the wheel.
START_TEST(a_ping_never_comes_before_its_time) {
    Service service;
    service.options.ping_interval = 128ms;
    for (int i = 0; i < 8; ++i) {
        Client client = service.connect({.on_open = [](ConnectionId) {}});
        const auto before = Clock::now();
        client.await_open();
        client.peer.send(Opcode::ping, "life");
        client.peer.expect(Opcode::pong, "life");
        client.peer.expect(Opcode::ping, "ping");
        const auto silence = Clock::now() - before;
        ck_assert_int_ge(std::chrono::duration_cast<std::chrono::milliseconds>(silence).count(),
                         128);
    }
}
END_TEST

START_TEST(a_peer_that_answers_is_asked_again_and_again) {
    Service service;
    service.options.ping_interval = 64ms;
    service.options.pong_timeout = kFar / 4;
    Client client = service.connect(service.echo());
    for (int i = 0; i < 5; ++i) {
        client.peer.expect(Opcode::ping, "ping");
        client.peer.send(Opcode::pong, "ping");
    }
    ck_assert(!client.closed());
}
END_TEST

/// Else a proxy on the way forgets the connection, which the Pings are to prevent.
START_TEST(pings_keep_their_interval_when_the_peer_may_answer_late) {
    Service service;
    service.options.ping_interval = 64ms;
    service.options.pong_timeout = kFar;
    Client client = service.connect();
    for (int i = 0; i < 3; ++i) {
        ck_assert_msg(client.peer.readable(kPatience), "Ping %d does not come", i);
        client.peer.expect(Opcode::ping, "ping");
        client.peer.send(Opcode::pong, "ping");
    }
}
END_TEST

START_TEST(a_peer_that_gives_no_sign_of_life_is_closed_with_1011) {
    Service service;
    service.options.ping_interval = 64ms;
    service.options.pong_timeout = 64ms;
    service.options.close_timeout = 64ms;
    Client client = service.connect();
    client.expect_closed(1011, false);
    client.peer.expect(Opcode::ping, "ping");
    client.peer.expect_close(1011);
    client.peer.expect_end();
    service.await_empty();
}
END_TEST

/// Some clients never answer a Ping.
START_TEST(any_byte_counts_as_a_sign_of_life) {
    Service service;
    service.options.ping_interval = 64ms;
    service.options.pong_timeout = kFar / 4;
    Client client = service.connect();
    for (int i = 0; i < 3; ++i) {
        client.peer.expect(Opcode::ping, "ping");
        client.peer.send(masked(Opcode::text, "0123456789").substr(0, i == 0 ? 1 : 0) +
                         (i > 0 ? std::string(1, i == 1 ? '\x8A' : '\x01') : std::string()));
    }
    ck_assert(!client.closed());
}
END_TEST

START_TEST(a_peer_that_cannot_speak_because_the_session_pauses_is_not_taken_for_dead) {
    Service service;
    service.options.ping_interval = 64ms;
    service.options.pong_timeout = 64ms;
    Client client =
        service.connect({.on_message = [](ConnectionId, Message) { return Flow::pause; }});
    client.peer.send_text("pause");
    client.await_messages(1);
    wait_as_long_as_a_dead_peer_lives(service);
    ck_assert(!client.closed());
    client.peer.send_text("pause");  // before time runs again
    service.engine().resume(client.id);
    client.await_messages(2);
}
END_TEST

START_TEST(a_sign_of_life_that_the_loop_has_not_been_told_of_is_looked_for) {
    Service service;
    service.options.ping_interval = 64ms;
    service.options.pong_timeout = 64ms;
    auto script = std::make_shared<Script>();
    script->hide_readiness();
    Client client = service.connect({}, {.script = script});
    client.peer.send(Opcode::pong, "ping");
    client.peer.expect(Opcode::ping, "ping");
    client.peer.expect(Opcode::ping, "ping");  // so it survived the first one
    client.peer.expect_close(1011);            // and looking alone keeps nobody alive
    client.expect_closed(1011, false);
}
END_TEST

START_TEST(a_close_that_the_loop_has_not_been_told_of_is_looked_for) {
    Service service;
    service.options.close_timeout = 64ms;
    auto script = std::make_shared<Script>();
    script->hide_readiness();
    script->on_read([](std::size_t) { return IoResult{Script::kGoOn, 8'000}; });
    Client client = service.connect({}, {.script = script});
    client.await_open();
    client.peer.send(masked(Opcode::text, std::string(30'000, 'x')) +
                     masked(Opcode::close, close_payload(4000)));
    ck_assert(service.close(client.id, 4000));
    client.expect_closed(4000, false);
    ck_assert_uint_eq(client.await_messages(1).size(), 1);
    service.await_empty();
}
END_TEST

/// The process was stopped, or a plugin has held the loop.
START_TEST(time_in_which_the_loop_stood_still_is_not_held_against_peers) {
    constexpr auto kTimeout = 1'200ms;
    Door standing;
    Service service;
    service.options.ping_interval = 64ms;
    service.options.pong_timeout = kTimeout;
    service.options.close_timeout = kTimeout;
    Client other = service.connect({.on_message = [&](ConnectionId, Message) {
        const auto begun = Clock::now();
        standing.open();
        while (Clock::now() - begun < 2 * kTimeout) std::this_thread::yield();
        return Flow::more;
    }});
    Client asked = service.connect(service.echo());
    asked.peer.expect(Opcode::ping, "ping");
    Client closing = service.connect();
    closing.await_open();
    ck_assert(service.close(closing.id, 4000));
    closing.peer.expect_close(4000);
    other.peer.send_text("stand still");
    standing.await("the standstill");
    // Both deadlines pass. The answers come only when the loop has turned again: a Pong leaves before the
    // timers have their turn, the next one after that.
    for (const char* turn : {"over", "and one more"}) {
        other.peer.send(Opcode::ping, turn);
        while (other.peer.receive().opcode != Opcode::pong) {
        }
    }
    closing.peer.send_close(4000);
    asked.peer.send_text("still here");
    closing.expect_closed(4000, false);
    Frame frame;
    while ((frame = asked.peer.receive()).opcode == Opcode::ping) {
    }
    ck_assert(frame.payload == "still here");
}
END_TEST

START_TEST(a_peer_is_not_taken_for_dead_because_messages_wait_for_the_end_of_another) {
    Service service;
    service.options.ping_interval = 64ms;
    service.options.pong_timeout = 64ms;
    service.options.send_buffer = 1'000;
    Client client = service.connect();
    client.await_open();
    const auto part = [&](Opcode opcode, bool fin) {
        return service.engine().send(client.id, SharedFrame::build(opcode, bytes("part"), fin),
                                     service.options.send_buffer);
    };
    ck_assert(part(Opcode::text, false) == SendResult::ok);
    while (service.send(client.id, std::string(500, 'x')) == SendResult::ok) {
    }
    client.peer.send(Opcode::ping, "now it is not read any more");
    client.peer.expect_text("part");
    while (client.peer.receive().payload != "now it is not read any more") {
    }
    wait_as_long_as_a_dead_peer_lives(service);
    ck_assert(!client.closed());
}
END_TEST

/// The kernel says that there is room when a third of its buffer is free again, and with large buffers
/// that takes slow peers long.
START_TEST(a_peer_that_takes_a_little_of_what_is_queued_is_alive) {
    constexpr std::uint32_t kPieces = 5;
    Service service;
    service.options.ping_interval = 64ms;
    service.options.pong_timeout = 64ms;
    auto script = std::make_shared<Script>();
    script->on_delivery([](std::size_t call) {
        const auto taken = std::min(static_cast<std::uint32_t>(call), 2 * kPieces);
        return websocket::net::Delivery{1'000, taken};  // as much as it takes follows
    });
    Client client = service.connect({}, {.script = script});
    // It has taken something before each verdict on a Ping, until it takes no more.
    for (std::uint32_t i = 0; i <= kPieces; ++i) client.peer.expect(Opcode::ping, "ping");
    client.peer.expect_close(1011);
    client.expect_closed(1011, false);
}
END_TEST

START_TEST(no_ping_is_sent_when_the_interval_is_0) {
    Service service;
    service.options.ping_interval = 0ms;
    service.options.pong_timeout = 1ms;
    Client client = service.connect(service.echo());
    client.await_open();
    ck_assert(!client.peer.readable(300ms));
    client.peer.send_text("alive");
    client.peer.expect_text("alive");
}
END_TEST

START_TEST(an_unanswered_close_ends_after_the_close_timeout) {
    Service service;
    service.options.close_timeout = 64ms;
    Client client = service.connect();
    client.await_open();
    ck_assert(service.close(client.id, 4000));
    client.expect_closed(1006, false);
    client.peer.expect_close(4000);
    client.peer.expect_end();
    service.await_empty();
}
END_TEST

START_TEST(a_close_in_on_open_has_the_close_timeout_and_not_the_ping_interval) {
    Service service;
    service.options.ping_interval = kFar;
    service.options.close_timeout = 64ms;
    Client client = service.connect({.on_open = [&](ConnectionId id) { service.close(id, 4001); }});
    client.peer.expect_close(4001);
    ck_assert_msg(client.peer.readable(kPatience), "the close timeout does not end the connection");
    client.peer.expect_end();
    client.expect_closed(1006, false);
}
END_TEST

START_TEST(a_peer_that_never_hangs_up_is_hung_up_on) {
    Service service;
    service.options.close_timeout = 64ms;
    Client client = service.connect();
    client.peer.send_close(1000);
    client.peer.expect_close(1000);
    client.peer.expect_end();  // our side is shut; the peer's stays open
    service.await_empty();
}
END_TEST

START_TEST(a_session_that_never_drains_does_not_hold_the_connection) {
    Service service;
    service.options.close_timeout = 64ms;
    Client client = service.connect({.drained = [](ConnectionId) { return false; }});
    client.peer.send_close(4002);
    client.peer.expect_close(4002);
    client.expect_closed(4002, true);
    client.peer.expect_end();
    service.await_empty();
}
END_TEST

START_TEST(a_peer_that_reads_nothing_cannot_hold_a_closing_connection) {
    Service service;
    service.options.close_timeout = 64ms;
    Client client = service.connect({}, {.socket_buffer = 8'000});
    client.await_open();
    ck_assert(service.send(client.id, std::string(10'000'000, 'x')) == SendResult::ok);
    ck_assert(service.close(client.id, 1000));
    client.expect_closed(1006, false);
    service.await_empty();
}
END_TEST

START_TEST(a_slow_peer_that_keeps_reading_gets_all_before_the_end) {
    Service service;
    service.options.close_timeout = kPatience / 4;
    Client client = service.connect({}, {.socket_buffer = 8'000});
    client.await_open();
    const std::string large(3'000'000, 'x');
    ck_assert(service.send(client.id, large) == SendResult::ok);
    ck_assert(service.close(client.id, 4003));
    client.peer.expect_text(large);
    client.peer.expect_close(4003);
    client.peer.send_close(4003);
    client.expect_closed(4003, false);
    client.peer.expect_end();
}
END_TEST

WEBSOCKET_TEST_SUITE(connection_timer) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, a_silent_peer_gets_a_ping);
    tcase_add_test(tests, a_ping_never_comes_before_its_time);
    tcase_add_test(tests, a_peer_that_answers_is_asked_again_and_again);
    tcase_add_test(tests, pings_keep_their_interval_when_the_peer_may_answer_late);
    tcase_add_test(tests, a_peer_that_gives_no_sign_of_life_is_closed_with_1011);
    tcase_add_test(tests, any_byte_counts_as_a_sign_of_life);
    tcase_add_test(tests,
                   a_peer_that_cannot_speak_because_the_session_pauses_is_not_taken_for_dead);
    tcase_add_test(tests, a_sign_of_life_that_the_loop_has_not_been_told_of_is_looked_for);
    tcase_add_test(tests, a_close_that_the_loop_has_not_been_told_of_is_looked_for);
    tcase_add_test(tests, time_in_which_the_loop_stood_still_is_not_held_against_peers);
    tcase_add_test(tests,
                   a_peer_is_not_taken_for_dead_because_messages_wait_for_the_end_of_another);
    tcase_add_test(tests, a_peer_that_takes_a_little_of_what_is_queued_is_alive);
    tcase_add_test(tests, no_ping_is_sent_when_the_interval_is_0);
    tcase_add_test(tests, an_unanswered_close_ends_after_the_close_timeout);
    tcase_add_test(tests, a_close_in_on_open_has_the_close_timeout_and_not_the_ping_interval);
    tcase_add_test(tests, a_peer_that_never_hangs_up_is_hung_up_on);
    tcase_add_test(tests, a_session_that_never_drains_does_not_hold_the_connection);
    tcase_add_test(tests, a_peer_that_reads_nothing_cannot_hold_a_closing_connection);
    tcase_add_test(tests, a_slow_peer_that_keeps_reading_gets_all_before_the_end);
}
