// SPDX-License-Identifier: Apache-2.0
#include "engine/tunnel.hpp"

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "engine/service.hpp"
#include "failing_allocator.hpp"
#include "unit.hpp"

using namespace websocket::test;
using namespace std::chrono_literals;
using websocket::engine::Ender;
using websocket::engine::Tunnel;
using websocket::engine::TunnelOptions;
using websocket::protocol::CloseCode;

namespace {

struct Passage {
    Peer client;
    Peer backend;
    std::shared_ptr<Script> client_script;
    std::shared_ptr<Script> backend_script;
    std::shared_ptr<Report> report = std::make_shared<Report>();

    explicit Passage(Service& service, const TunnelOptions& how = {}, int socket_buffer = 0,
                     std::string_view from_client = {}, std::string_view from_backend = {})
        : Passage(service, how, tcp_pair(socket_buffer), tcp_pair(socket_buffer), from_client,
                  from_backend) {}
    /// With scripts that are complete before it is served.
    Passage(Service& service, const TunnelOptions& how, std::shared_ptr<Script> of_client,
            std::shared_ptr<Script> of_backend)
        : Passage(service, how, tcp_pair(), tcp_pair(), {}, {}, std::move(of_client),
                  std::move(of_backend)) {}

    [[nodiscard]] Account await_account() {
        return report
            ->await([](const auto& accounts) { return !accounts.empty(); }, "the tunnel's end")
            .front();
    }
    void expect_ending(std::uint16_t code, Ender by, std::string_view reason = {}) {
        const auto ending = await_account().ending;
        ck_assert_uint_eq(ending.code, code);
        ck_assert_int_eq(static_cast<int>(ending.by), static_cast<int>(by));
        ck_assert((ending.reason != nullptr ? ending.reason : "") == reason);
    }

    static Tunnel::Side side(Descriptor socket, std::shared_ptr<Script> script,
                             std::string_view early) {
        websocket::base::ByteBuffer read;
        read.append(bytes(early));
        return {std::make_unique<ScriptedTransport>(std::move(socket), std::move(script)),
                std::move(read)};
    }

private:
    Passage(Service& service, const TunnelOptions& how, SocketPair front, SocketPair back,
            std::string_view from_client, std::string_view from_backend,
            std::shared_ptr<Script> of_client = std::make_shared<Script>(),
            std::shared_ptr<Script> of_backend = std::make_shared<Script>())
        : client(std::move(front.client)), backend(std::move(back.client)),
          client_script(std::move(of_client)), backend_script(std::move(of_backend)) {
        websocket::engine::Refusal why{};
        auto place = service.engine().reserve<Tunnel>(why);
        ck_assert(place.has_value());
        (*place)->attach(std::make_unique<ReportingRecord>(service.options.rates, report));
        (*place)->prepare(side(std::move(front.server), client_script, from_client),
                          side(std::move(back.server), backend_script, from_backend),
                          service.options, how);
        service.engine().serve(std::move(*place));
    }
};

TunnelOptions frames() { return {.frames = true}; }

void expect_passed(Peer& from, Peer& to, std::string_view text) {
    from.send(text);
    to.expect_bytes(text);
}

/// A portion each fifth of a second.
void expect_slowly(Peer& peer, std::string_view text, std::size_t portion) {
    for (; !text.empty(); text.remove_prefix(std::min(portion, text.size()))) {
        std::this_thread::sleep_for(200ms);
        peer.expect_bytes(text.substr(0, portion));
    }
}

/// A socket with bytes for a peer that takes some until it has been looked at so often.
class SlowPeer {
public:
    explicit SlowPeer(std::size_t looks) {
        script->on_delivery([looks, counted = looks_](std::size_t call) {
            *counted = call + 1;
            return websocket::net::Delivery{1000,
                                            static_cast<std::uint32_t>(std::min(call, looks))};
        });
    }
    [[nodiscard]] std::size_t looks() const { return *looks_; }

    std::shared_ptr<Script> script = std::make_shared<Script>();

private:
    std::shared_ptr<std::atomic<std::size_t>> looks_ =
        std::make_shared<std::atomic<std::size_t>>(0);
};

std::string of_backend(Opcode opcode, std::string_view payload) {
    return client_frame({.opcode = opcode, .payload = payload, .masked = false});
}

/// The client's frames are masked: the code of a Close to a backend.
void expect_close_of_backend(Peer& backend, std::uint16_t code) {
    std::string frame;
    while (frame.size() < 8) {
        const std::string more = backend.receive_some();
        ck_assert_msg(!more.empty(), "the end came instead of a Close");
        frame += more;
    }
    ck_assert_uint_eq(static_cast<std::uint8_t>(frame[0]), 0x88);
    const auto byte = [&](std::size_t i) {
        return static_cast<unsigned>(static_cast<std::uint8_t>(frame[6 + i] ^ frame[2 + i]));
    };
    ck_assert_uint_eq(byte(0) << 8 | byte(1), code);
}

}  // namespace

START_TEST(bytes_of_any_kind_go_both_ways) {
    Service service;
    Passage passage(service);
    const std::string all = Random(1).bytes(300'000);
    expect_passed(passage.client, passage.backend, "no frame at all");
    expect_passed(passage.backend, passage.client, std::string("\0\xFF", 2));
    expect_passed(passage.client, passage.backend, all.substr(0, 100'000));
    expect_passed(passage.backend, passage.client, all.substr(100'000, 100'000));
    passage.client.disconnect();
    passage.backend.expect_end();
    passage.backend.disconnect();
    const Account account = passage.await_account();
    ck_assert_uint_eq(account.traffic.bytes_in, 100'015);
    ck_assert_uint_eq(account.traffic.bytes_out, 100'002);
    passage.expect_ending(0, Ender::client);
    service.await_empty();
}
END_TEST

START_TEST(what_was_read_ahead_comes_first) {
    Service service;
    Passage passage(service, {}, 0, "early ", "soon ");
    passage.client.send("bird");
    passage.backend.send("er");
    passage.backend.expect_bytes("early bird");
    passage.client.expect_bytes("soon er");
}
END_TEST

START_TEST(what_a_slow_side_does_not_take_waits_in_bounds_and_in_order) {
    Service service;
    Passage passage(service, {.buffer = 64U << 10}, 8192);
    const std::string all = Random(2).bytes(8U << 20);
    std::string_view rest(all);
    std::size_t unread = 0;
    for (int idle = 0; idle < 20;) {  // until nobody takes any more
        const std::size_t sent = passage.client.send_some(rest);
        rest.remove_prefix(sent);
        unread += sent;
        idle = sent > 0 ? 0 : idle + 1;
        if (sent == 0) static_cast<void>(passage.backend.readable(5ms));
    }
    ck_assert_msg(unread < (2U << 20), "%zu bytes wait somewhere", unread);
    std::string back;
    while (back.size() < all.size()) {
        const std::size_t sent = rest.empty() ? 0 : passage.client.send_some(rest);
        rest.remove_prefix(sent);
        back += passage.backend.receive_some();
    }
    ck_assert(back == all);
}
END_TEST

START_TEST(one_side_may_end_its_stream_and_still_receive) {
    Service service;
    Passage passage(service);
    passage.client.send("the last of it");
    passage.client.shut_down();
    passage.backend.expect_bytes("the last of it");
    passage.backend.expect_end();
    expect_passed(passage.backend, passage.client, "still here");
    passage.backend.disconnect();
    passage.client.expect_end();
    passage.expect_ending(0, Ender::client);
}
END_TEST

START_TEST(a_slow_side_gets_all_before_the_end) {
    Service service;
    for (const bool half_close : {true, false}) {
        Passage passage(service, {.half_close = half_close}, 8192);
        const std::string all = Random(3).bytes(60'000);  // less than may wait
        passage.backend.send(all);
        passage.backend.disconnect();
        passage.client.expect_bytes(all);
        passage.client.expect_end();
        passage.client.disconnect();
        passage.expect_ending(0, Ender::backend);
    }
}
END_TEST

START_TEST(without_half_closes_both_streams_end_together) {
    Service service;
    Passage passage(service, {.half_close = false});
    expect_passed(passage.client, passage.backend, "hello");
    passage.client.shut_down();
    passage.backend.expect_end();
    passage.client.expect_end();
}
END_TEST

START_TEST(a_reset_ends_the_other_side) {
    Service service;
    for (const bool of_client : {true, false}) {
        Passage passage(service);
        expect_passed(passage.client, passage.backend, "hello");
        (of_client ? passage.client : passage.backend).reset();
        Peer& other = of_client ? passage.backend : passage.client;
        other.expect_end();
        other.disconnect();
        ck_assert(passage.await_account().ending.by != Ender::server);
    }
    service.await_empty();
}
END_TEST

START_TEST(without_traffic_it_ends_in_time) {
    Service service;
    for (const bool followed : {false, true}) {
        Passage passage(service, {.idle_timeout = 300ms, .frames = followed});
        if (followed) {
            passage.client.expect_close(1001);
            expect_close_of_backend(passage.backend, 1001);
        }
        passage.client.expect_end();
        passage.client.disconnect();
        passage.backend.disconnect();
        passage.expect_ending(followed ? 1001 : 0, Ender::server,
                              "no traffic within the time limit");
    }
}
END_TEST

START_TEST(a_time_limit_of_many_years_is_none) {
    Service service;
    for (const int years : {1, 32, 68}) {
        Passage passage(service, {.idle_timeout = years * std::chrono::hours(365 * 24)});
        ck_assert(!passage.client.readable(200ms));
        expect_passed(passage.client, passage.backend, "still there");
    }
}
END_TEST

START_TEST(what_a_slow_side_takes_is_traffic) {
    Service service;
    Passage passage(service, {.idle_timeout = 3s}, 8192);
    const std::string all = Random(5).bytes(60'000);  // read at once, and less than may wait
    passage.backend.send(all);
    expect_slowly(passage.client, all, 3000);
    expect_passed(passage.client, passage.backend, "all of it");
}
END_TEST

/// As TLS does while the kernel has room for parts of a record.
START_TEST(what_is_taken_though_no_write_can_count_it_is_traffic) {
    Service service;
    std::atomic<bool> counts{false};
    Passage passage(service, {.idle_timeout = 300ms});
    passage.client_script->on_write(
        [&](std::size_t) { return counts ? Script::kNormally : IoResult{IoStatus::would_block}; });
    passage.backend.send("slowly");
    ck_assert(!passage.report->holds([](const auto& accounts) { return !accounts.empty(); }, 1s));
    counts = true;
    passage.client.expect_bytes("slowly");
    expect_passed(passage.client, passage.backend, "still there");
}
END_TEST

START_TEST(a_slow_backend_gets_what_was_read_before_the_end) {
    Service service;
    service.options.close_timeout = 1s;
    Passage passage(service, {.half_close = false}, 8192);
    const std::string all = Random(6).bytes(60'000);  // read at once, and less than may wait
    passage.client.send(all);
    passage.client.disconnect();
    expect_slowly(passage.backend, all, 3000);
    passage.backend.expect_end();
}
END_TEST

START_TEST(what_a_slow_side_takes_of_what_the_kernel_has_is_traffic) {
    constexpr std::size_t kLooks = 6;
    for (const bool of_client : {true, false}) {
        Service service;
        const SlowPeer slow(kLooks);
        const auto other = std::make_shared<Script>();
        Passage passage(service, {.idle_timeout = 200ms}, of_client ? slow.script : other,
                        of_client ? other : slow.script);
        passage.client.expect_end();
        ck_assert_uint_gt(slow.looks(), kLooks);
    }
}
END_TEST

START_TEST(a_slow_backend_gets_what_the_kernel_has_before_the_end) {
    constexpr std::size_t kLooks = 5;
    Service service;
    service.options.close_timeout = 100ms;
    const SlowPeer slow(kLooks);
    Passage passage(service, {.half_close = false}, std::make_shared<Script>(), slow.script);
    passage.client.disconnect();
    service.await_empty();  // though the backend's end stays open
    ck_assert_uint_gt(slow.looks(), kLooks);
}
END_TEST

START_TEST(a_drain_ends_it) {
    for (const bool followed : {false, true}) {
        Service service;
        Passage passage(service, {.frames = followed});
        const std::string hello = masked(Opcode::text, "hello");
        expect_passed(passage.client, passage.backend, hello);
        service.engine().begin_drain({std::chrono::steady_clock::now() + 4s,
                                      []() noexcept { return CloseCode::service_restart; }});
        if (followed) {
            passage.client.expect_close(1012);
            expect_close_of_backend(passage.backend, 1012);
        }
        passage.client.expect_end();
        passage.client.disconnect();
        passage.backend.disconnect();
        service.await_empty();
        ck_assert_uint_eq(service.engine().departures().in_order, 1);
        ck_assert_uint_eq(service.engine().departures().forced, 0);
    }
}
END_TEST

START_TEST(a_frame_under_way_has_the_time_of_the_drain_to_end) {
    Service service;
    service.options.close_timeout = 100ms;
    Passage passage(service, {.idle_timeout = 1h, .frames = true});
    const std::string frame = masked(Opcode::text, "slowly");
    expect_passed(passage.client, passage.backend, frame.substr(0, 8));
    service.engine().begin_drain({std::chrono::steady_clock::now() + 4s,
                                  []() noexcept { return CloseCode::service_restart; }});
    passage.client.expect_close(1012);  // so it has been told
    ck_assert_msg(!passage.backend.readable(400ms), "the frame was cut");
    expect_passed(passage.client, passage.backend, frame.substr(8));
    expect_close_of_backend(passage.backend, 1012);
    service.await_empty();  // though neither peer ends its stream
    ck_assert_uint_eq(service.engine().departures().in_order, 1);
    ck_assert_uint_eq(service.engine().departures().forced, 0);
}
END_TEST

START_TEST(a_frame_that_never_ends_is_cut_at_the_end_of_a_drain) {
    Service service;
    Passage passage(service, frames());
    const std::string half = of_backend(Opcode::text, "half a message").substr(0, 7);
    expect_passed(passage.backend, passage.client, half);
    service.engine().begin_drain({std::chrono::steady_clock::now() + 300ms,
                                  []() noexcept { return CloseCode::going_away; }});
    expect_close_of_backend(passage.backend, 1001);
    passage.client.expect_end();
    passage.client.disconnect();
    passage.backend.disconnect();
    await_quietly([&] { return service.engine().stopped(); }, "the loops' end");
    ck_assert_uint_eq(service.engine().departures().forced, 1);
    ck_assert_uint_eq(service.engine().departures().in_order, 0);
}
END_TEST

START_TEST(the_end_of_the_engine_ends_it) {
    Service service;
    Passage passage(service);
    expect_passed(passage.client, passage.backend, "there");
    service.stop();
    passage.client.expect_end();
    passage.backend.expect_end();
}
END_TEST

START_TEST(a_side_that_never_ends_is_given_up) {
    Service service;
    service.options.close_timeout = 200ms;
    Passage passage(service, {.half_close = false});
    passage.client.disconnect();
    passage.backend.expect_end();
    service.await_empty();  // though the backend's end stays open
}
END_TEST

START_TEST(what_was_read_ahead_may_end_it_in_time) {
    Service service;
    service.options.close_timeout = 200ms;
    Passage passage(service, {.idle_timeout = 1h, .frames = true}, 0,
                    masked(static_cast<Opcode>(3), "what?"));
    passage.client.expect_close(1002);
    expect_close_of_backend(passage.backend, 1002);
    service.await_empty();  // though neither peer ends its stream
}
END_TEST

START_TEST(a_client_that_closes_in_order_is_told_so) {
    Service service;
    Passage passage(service, frames());
    const std::string close = masked(Opcode::close, close_payload(1000));
    expect_passed(passage.client, passage.backend, close);
    expect_passed(passage.backend, passage.client, of_backend(Opcode::close, close_payload(1000)));
    passage.client.expect_end();
    passage.backend.expect_end();
    passage.client.disconnect();
    passage.backend.disconnect();
    passage.expect_ending(1000, Ender::client);
}
END_TEST

START_TEST(a_stream_of_frames_that_ends_without_a_close_is_abnormal) {
    Service service;
    Passage passage(service, frames());
    passage.backend.disconnect();
    passage.client.expect_end();
    passage.client.disconnect();
    passage.expect_ending(1006, Ender::backend);
}
END_TEST

START_TEST(a_quiet_client_is_pinged) {
    Service service;
    service.options.ping_interval = 100ms;
    Passage passage(service, frames());
    for (int i = 0; i < 3; ++i) {
        passage.client.expect(Opcode::ping, "ping");
        passage.client.send(Opcode::pong, "ping");
    }
    passage.client.send_text("then this");
    passage.backend.expect_bytes(masked(Opcode::text, "then this"));
}
END_TEST

START_TEST(a_client_without_a_sign_of_life_is_given_up) {
    Service service;
    service.options.ping_interval = 100ms;
    service.options.pong_timeout = 200ms;
    Passage passage(service, frames());
    passage.client.expect(Opcode::ping, "ping");
    passage.client.expect_close(1001);
    expect_close_of_backend(passage.backend, 1001);
    passage.client.disconnect();
    passage.backend.disconnect();
    passage.expect_ending(1001, Ender::server, "no sign of life after a Ping");
}
END_TEST

START_TEST(rates_hold_for_the_client_only) {
    Service service;
    service.options.rates.messages = 2;
    service.options.rates.policy = websocket::engine::RatePolicy::close;
    Passage passage(service, frames());
    for (int i = 0; i < 10; ++i) {
        passage.backend.send(of_backend(Opcode::text, "x"));
        passage.client.expect_text("x");
    }
    for (int i = 0; i < 5; ++i) passage.client.send(masked(Opcode::text, "x"));
    passage.client.expect_close(1008);
    passage.client.disconnect();
    passage.backend.disconnect();
    passage.expect_ending(1008, Ender::server, "too many messages a second");
}
END_TEST

START_TEST(a_rate_of_bytes_slows_a_client_down_whatever_it_sends) {
    Service service;
    service.options.rates.bytes = 20'000;
    service.options.rates.burst = 100ms;
    Passage passage(service);
    const std::string all = Random(4).bytes(6000);
    expect_passed(passage.client, passage.backend, all);
}
END_TEST

START_TEST(writes_that_fail_end_it) {
    Service service;
    Passage passage(service);
    passage.backend_script->on_write(Script::only(0, IoStatus::failed));
    passage.client.send("nobody will read it");
    expect_passed(passage.backend, passage.client, "but this still comes");
    passage.backend.disconnect();
    passage.client.expect_end();
    passage.client.disconnect();
    static_cast<void>(passage.await_account());
}
END_TEST

/// What was read ahead is kept, for which there is no memory.
START_TEST(without_memory_at_first_it_leaves_no_timer_behind) {
    Service service;
    service.options.close_timeout = 64ms;
    for (std::size_t index = 0; index < 6; ++index) {
        websocket::engine::Refusal why{};
        auto place = service.engine().reserve<Tunnel>(why);
        ck_assert(place.has_value());
        SocketPair front = tcp_pair();
        SocketPair back = tcp_pair();
        auto full = std::make_shared<Script>();
        full->on_write([](std::size_t) { return websocket::net::IoResult{IoStatus::would_block}; });
        full->hide_readiness();
        (*place)->prepare(Passage::side(std::move(front.server), full, "early"),
                          Passage::side(std::move(back.server), full, "too"), service.options,
                          {.idle_timeout = 64ms});
        {
            const FailingAllocator allocator(index, Threads::all);
            service.engine().serve(std::move(*place));
            front.client = {};
            await_quietly([&] { return service.engine().connections() == 0; }, "its end");
        }
    }
    Passage after(service, {.idle_timeout = 200ms});
    after.client.expect_end();
}
END_TEST

WEBSOCKET_TEST_SUITE(tunnel) {
    tcase_add_test(tests, bytes_of_any_kind_go_both_ways);
    tcase_add_test(tests, what_was_read_ahead_comes_first);
    tcase_add_test(tests, what_a_slow_side_does_not_take_waits_in_bounds_and_in_order);
    tcase_add_test(tests, one_side_may_end_its_stream_and_still_receive);
    tcase_add_test(tests, a_slow_side_gets_all_before_the_end);
    tcase_add_test(tests, without_half_closes_both_streams_end_together);
    tcase_add_test(tests, a_reset_ends_the_other_side);
    tcase_add_test(tests, without_traffic_it_ends_in_time);
    tcase_add_test(tests, a_time_limit_of_many_years_is_none);
    tcase_add_test(tests, what_a_slow_side_takes_is_traffic);
    tcase_add_test(tests, what_is_taken_though_no_write_can_count_it_is_traffic);
    tcase_add_test(tests, a_slow_backend_gets_what_was_read_before_the_end);
    tcase_add_test(tests, what_a_slow_side_takes_of_what_the_kernel_has_is_traffic);
    tcase_add_test(tests, a_slow_backend_gets_what_the_kernel_has_before_the_end);
    tcase_add_test(tests, a_drain_ends_it);
    tcase_add_test(tests, a_frame_under_way_has_the_time_of_the_drain_to_end);
    tcase_add_test(tests, a_frame_that_never_ends_is_cut_at_the_end_of_a_drain);
    tcase_add_test(tests, the_end_of_the_engine_ends_it);
    tcase_add_test(tests, a_side_that_never_ends_is_given_up);
    tcase_add_test(tests, what_was_read_ahead_may_end_it_in_time);
    tcase_add_test(tests, a_client_that_closes_in_order_is_told_so);
    tcase_add_test(tests, a_stream_of_frames_that_ends_without_a_close_is_abnormal);
    tcase_add_test(tests, a_quiet_client_is_pinged);
    tcase_add_test(tests, a_client_without_a_sign_of_life_is_given_up);
    tcase_add_test(tests, rates_hold_for_the_client_only);
    tcase_add_test(tests, a_rate_of_bytes_slows_a_client_down_whatever_it_sends);
    tcase_add_test(tests, writes_that_fail_end_it);
    tcase_add_test(tests, without_memory_at_first_it_leaves_no_timer_behind);
}
