// SPDX-License-Identifier: Apache-2.0
// Peers that send too much in too little time.
#include "engine/rate_limits.hpp"

#include "engine/connection.hpp"
#include "engine/service.hpp"
#include "unit.hpp"

using namespace websocket::test;

namespace {

using websocket::engine::RateLimits;
using websocket::engine::RatePolicy;
using SteadyClock = std::chrono::steady_clock;

std::int64_t milliseconds_since(SteadyClock::time_point start) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(SteadyClock::now() - start)
        .count();
}

/// A service of which every connection has these rates.
struct Limited : Service {
    std::shared_ptr<Report> report = std::make_shared<Report>();

    explicit Limited(const RateLimits& rates) { options.rates = rates; }

    Client connect(Behaviour behaviour = {}, Wiring wiring = {}) {
        wiring.report = report;
        return Service::connect(std::move(behaviour), wiring);
    }
};

std::string repeated(const std::string& frame, int count) {
    std::string all;
    for (int i = 0; i < count; ++i) all += frame;
    return all;
}

}  // namespace

START_TEST(as_many_messages_as_allowed_pass_and_one_more_closes) {
    Limited service({.messages = 10, .policy = RatePolicy::close});
    Client client = service.connect(service.echo());
    client.peer.send(repeated(masked(Opcode::text, "m"), 30));
    for (int i = 0; i < 10; ++i) client.peer.expect_text("m");
    client.peer.expect_close(1008);
    client.expect_closed(1008, false);
    ck_assert_uint_eq(client.await_messages(10).size(), 10);
}
END_TEST

START_TEST(fragments_cannot_evade_the_rate_of_messages) {
    Limited service({.messages = 10, .policy = RatePolicy::close});
    Client client = service.connect();
    client.peer.send(masked(Opcode::text, "f", false) +
                     repeated(masked(Opcode::continuation, "f", false), 30));
    client.peer.expect_close(1008);
    ck_assert(client.await_close().code == 1008 && client.record->get().messages.empty());
}
END_TEST

START_TEST(empty_fragments_of_a_slowed_peer_are_slowed_too) {
    Limited service({.messages = 20});
    service.options.reader.max_empty_fragments = 1000;
    Client client = service.connect(service.echo());
    const auto start = SteadyClock::now();
    client.peer.send(masked(Opcode::text, "", false) +
                     repeated(masked(Opcode::continuation, "", false), 28) +
                     masked(Opcode::continuation, "end"));
    client.peer.expect_text("end");
    ck_assert_int_ge(milliseconds_since(start),
                     400);  // ten more than the burst, at twenty a second
}
END_TEST

START_TEST(a_slowed_peer_loses_nothing_and_keeps_the_order) {
    Limited service({.messages = 50});
    Client client = service.connect(service.echo());
    const auto start = SteadyClock::now();
    std::string input;
    for (int i = 0; i < 80; ++i) input += masked(Opcode::text, std::to_string(i));
    client.peer.send(input);
    for (int i = 0; i < 80; ++i) client.peer.expect_text(std::to_string(i));
    ck_assert_int_ge(milliseconds_since(start), 500);
    ck_assert(!client.closed());
}
END_TEST

/// The process was stopped, or a plugin has held the loop: then all that a peer has sent meanwhile is
/// read at once.
START_TEST(a_peer_that_keeps_its_rate_is_not_closed_because_the_loop_stood_still) {
    constexpr auto kStandstill = 1s;
    Door standing;
    Awaited<SteadyClock::time_point> begun;
    Limited service(
        {.messages = 100, .control_frames = 100, .burst = 100ms, .policy = RatePolicy::close});
    Client other = service.connect({.on_message = [&](ConnectionId, Message) {
        begun.update([](auto& time) { time = SteadyClock::now(); });
        standing.open();
        while (SteadyClock::now() - begun.get() < kStandstill) std::this_thread::yield();
        return Flow::more;
    }});
    Client client = service.connect(service.echo());
    client.await_open();
    other.peer.send_text("stand still");
    standing.await("the standstill");
    client.peer.send(repeated(masked(Opcode::text, "m"), 80) +
                     repeated(masked(Opcode::pong, "p"), 80));
    for (int i = 0; i < 80; ++i) client.peer.expect_text("m");
    client.peer.send(repeated(masked(Opcode::text, "m"), 200));
    client.expect_closed(1008, false);  // that was more than in any second
}
END_TEST

START_TEST(the_burst_says_how_much_comes_at_once) {
    Limited service({.messages = 10, .burst = 5s, .policy = RatePolicy::close});
    Client client = service.connect(service.echo());
    client.peer.send(repeated(masked(Opcode::text, "m"), 50));
    for (int i = 0; i < 50; ++i) client.peer.expect_text("m");
    ck_assert(!client.closed());
    client.peer.send(repeated(masked(Opcode::text, "m"), 5000));  // as many as ten minutes allow
    client.expect_closed(1008, false);
}
END_TEST

START_TEST(too_many_bytes_close) {
    Limited service({.bytes = 10'000, .policy = RatePolicy::close});
    Client client = service.connect();
    client.peer.send(repeated(masked(Opcode::binary, std::string(9'000, 'b')), 2));
    client.await_messages(1);
    client.peer.expect_close(1008);
    client.expect_closed(1008, false);
}
END_TEST

START_TEST(bytes_of_one_long_frame_count_before_it_ends) {
    Limited service({.bytes = 1'000, .policy = RatePolicy::close});
    Client client = service.connect();
    const std::string frame = masked(Opcode::binary, std::string(1'000'000, 'b'));
    client.peer.send(std::string_view(frame).substr(0, 500'000));
    client.peer.expect_close(1008);
    ck_assert(client.await_close().code == 1008);
}
END_TEST

START_TEST(headers_and_control_frames_count_as_bytes) {
    Limited service({.bytes = 1'000, .policy = RatePolicy::close});
    Client client = service.connect();
    client.peer.send(repeated(masked(Opcode::pong, ""), 300));  // 1800 bytes
    client.expect_closed(1008, false);
}
END_TEST

START_TEST(a_peer_that_sends_too_many_bytes_is_read_at_its_rate) {
    Limited service({.bytes = 1'000'000, .burst = 100ms});
    Client client = service.connect(service.echo());
    const auto start = SteadyClock::now();
    const std::string large(800'000, 'l');
    client.peer.send(masked(Opcode::binary, large));
    client.peer.expect(Opcode::binary, large);
    ck_assert_int_ge(milliseconds_since(start), 600);
}
END_TEST

START_TEST(too_many_pings_close_also_where_messages_are_slowed) {
    Limited service({.control_frames = 5});
    Client client = service.connect();
    client.peer.send(repeated(masked(Opcode::ping, "p"), 20));
    for (int i = 0; i < 5; ++i) client.peer.expect(Opcode::pong, "p");
    client.peer.expect_close(1008);
    client.expect_closed(1008, false);
}
END_TEST

START_TEST(pongs_that_nobody_asked_for_count_too) {
    Limited service({.control_frames = 5});
    Client client = service.connect();
    client.peer.send(repeated(masked(Opcode::pong, ""), 20));
    client.expect_closed(1008, false);
}
END_TEST

START_TEST(messages_are_no_control_frames_and_the_other_way_round) {
    Limited service({.messages = 5, .control_frames = 5, .policy = RatePolicy::close});
    Client client = service.connect(service.echo());
    client.peer.send(repeated(masked(Opcode::text, "t") + masked(Opcode::ping, "p"), 5));
    for (int i = 0; i < 5; ++i) {
        client.peer.expect_text("t");
        client.peer.expect(Opcode::pong, "p");
    }
    ck_assert(!client.closed());
}
END_TEST

START_TEST(what_came_behind_the_handshake_counts) {
    Limited service({.bytes = 100, .policy = RatePolicy::close});
    const std::string early = repeated(masked(Opcode::text, "early"), 30);
    Client client = service.connect({}, {.early_input = early});
    client.peer.expect_close(1008);
    client.expect_closed(1008, false);
}
END_TEST

/// It cannot speak while we do not listen. When we do again, one that has vanished is found.
START_TEST(a_slowed_peer_is_not_taken_for_dead_before_it_may_speak) {
    Limited service({.bytes = 1'024, .burst = 2s});
    service.options.ping_interval = 64ms;
    service.options.pong_timeout = 64ms;
    Client client = service.connect();
    client.await_open();
    const auto start = SteadyClock::now();
    client.peer.send(masked(Opcode::binary, std::string(3'000, 'b')));  // a second above the burst
    client.expect_closed(1011, false);
    ck_assert_int_ge(milliseconds_since(start), 900);
}
END_TEST

START_TEST(a_slowed_peer_can_be_closed_and_can_break) {
    Limited service({.messages = 1, .burst = 1s});
    service.options.close_timeout = 64ms;
    for (const bool reset : {true, false}) {
        Client client = service.connect();
        client.peer.send(repeated(masked(Opcode::text, "m"), 20));
        client.await_messages(2);
        if (reset) {
            client.peer.reset();
            client.expect_closed(1006, false);
        } else {
            ck_assert(service.close(client.id, 4000));
            client.peer.expect_close(4000);
            client.await_close();
        }
    }
    service.await_empty();
}
END_TEST

START_TEST(the_process_can_stop_while_peers_are_slowed) {
    Limited service({.messages = 1, .burst = 1s});
    Client client = service.connect();
    client.peer.send(repeated(masked(Opcode::text, "m"), 20));
    client.await_messages(2);
    service.stop();
    client.expect_closed(1001, false);
}
END_TEST

START_TEST(rates_without_a_record_are_none) {
    Limited service({.messages = 1, .policy = RatePolicy::close});
    Client client = static_cast<Service&>(service).connect(service.echo());
    client.peer.send(repeated(masked(Opcode::text, "m"), 20));
    for (int i = 0; i < 20; ++i) client.peer.expect_text("m");
}
END_TEST

WEBSOCKET_TEST_SUITE(connection_rates) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, as_many_messages_as_allowed_pass_and_one_more_closes);
    tcase_add_test(tests, fragments_cannot_evade_the_rate_of_messages);
    tcase_add_test(tests, empty_fragments_of_a_slowed_peer_are_slowed_too);
    tcase_add_test(tests, a_slowed_peer_loses_nothing_and_keeps_the_order);
    tcase_add_test(tests, a_peer_that_keeps_its_rate_is_not_closed_because_the_loop_stood_still);
    tcase_add_test(tests, the_burst_says_how_much_comes_at_once);
    tcase_add_test(tests, too_many_bytes_close);
    tcase_add_test(tests, bytes_of_one_long_frame_count_before_it_ends);
    tcase_add_test(tests, headers_and_control_frames_count_as_bytes);
    tcase_add_test(tests, a_peer_that_sends_too_many_bytes_is_read_at_its_rate);
    tcase_add_test(tests, too_many_pings_close_also_where_messages_are_slowed);
    tcase_add_test(tests, pongs_that_nobody_asked_for_count_too);
    tcase_add_test(tests, messages_are_no_control_frames_and_the_other_way_round);
    tcase_add_test(tests, what_came_behind_the_handshake_counts);
    tcase_add_test(tests, a_slowed_peer_is_not_taken_for_dead_before_it_may_speak);
    tcase_add_test(tests, a_slowed_peer_can_be_closed_and_can_break);
    tcase_add_test(tests, the_process_can_stop_while_peers_are_slowed);
    tcase_add_test(tests, rates_without_a_record_are_none);
}
