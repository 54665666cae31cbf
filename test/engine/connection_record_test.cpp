// SPDX-License-Identifier: Apache-2.0
// Counts and endings of connections that have a record.
#include "engine/connection_record.hpp"

#include "engine/connection.hpp"
#include "engine/service.hpp"
#include "unit.hpp"

using namespace websocket::test;

namespace {

using websocket::engine::Ender;

/// A client whose record tells the test how it ended.
struct Recorded {
    std::shared_ptr<Report> report = std::make_shared<Report>();

    Client connect(Service& service, Behaviour behaviour = {}, Wiring wiring = {}) {
        wiring.report = report;
        return service.connect(std::move(behaviour), wiring);
    }
    /// The one account, once the connection is gone.
    Account await() {
        return report->await([](const auto& accounts) { return !accounts.empty(); }, "the account")
            .front();
    }
    void expect_ending(std::uint16_t code, Ender by, const char* reason = nullptr) {
        const websocket::engine::Ending ending = await().ending;
        ck_assert_uint_eq(ending.code, code);
        ck_assert_int_eq(static_cast<int>(ending.by), static_cast<int>(by));
        ck_assert_pstr_eq(ending.reason, reason);
    }
    void expect_traffic(const websocket::engine::Traffic& wanted) {
        const websocket::engine::Traffic traffic = await().traffic;
        ck_assert_uint_eq(traffic.bytes_in, wanted.bytes_in);
        ck_assert_uint_eq(traffic.bytes_out, wanted.bytes_out);
        ck_assert_uint_eq(traffic.messages_in, wanted.messages_in);
        ck_assert_uint_eq(traffic.messages_out, wanted.messages_out);
    }
};

/// Ends a connection the proper way and waits until both sides are closed.
void close_properly(Client& client) {
    client.peer.send_close(1000);
    client.peer.expect_close(1000);
    client.peer.expect_end();
    client.peer.disconnect();
}

constexpr std::size_t kClientHeader = 6;  // of a short frame
constexpr std::size_t kServerHeader = 2;

}  // namespace

START_TEST(whole_messages_and_all_bytes_are_counted_both_ways) {
    Service service;
    Recorded recorded;
    Client client = recorded.connect(service, service.echo());
    for (int i = 0; i < 3; ++i) {
        client.peer.send_text("hello");
        client.peer.expect_text("hello");
    }
    close_properly(client);
    recorded.expect_traffic({3 * (kClientHeader + 5) + kClientHeader + 2,
                             3 * (kServerHeader + 5) + kServerHeader + 2, 3, 3});
}
END_TEST

START_TEST(fragments_are_one_message_and_control_frames_are_none) {
    Service service;
    Recorded recorded;
    Client client = recorded.connect(service, service.echo());
    client.peer.send(masked(Opcode::text, "ab", false) + masked(Opcode::ping, "p") +
                     masked(Opcode::continuation, "cd", false) + masked(Opcode::pong, "") +
                     masked(Opcode::continuation, "ef"));
    client.peer.expect(Opcode::pong, "p");
    client.peer.expect_text("abcdef");
    close_properly(client);
    const std::uint64_t in = 6 * kClientHeader + 2 + 1 + 2 + 0 + 2 + 2;
    const std::uint64_t out = 3 * kServerHeader + 1 + 6 + 2;
    recorded.expect_traffic({in, out, 1, 1});
}
END_TEST

START_TEST(large_messages_and_what_other_threads_send_are_counted_too) {
    Service service;
    Recorded recorded;
    Client client = recorded.connect(service, service.echo());
    const std::string large(1'000'000, 'l');
    constexpr std::size_t kLong = 8;  // bytes of a long length
    client.peer.send_text(large);
    client.peer.expect_text(large);
    ck_assert(service.send(client.id, "from a thread") == SendResult::ok);
    client.peer.expect_text("from a thread");
    close_properly(client);
    recorded.expect_traffic(
        {kClientHeader + kLong + large.size() + kClientHeader + 2,
         kServerHeader + kLong + large.size() + kServerHeader + 13 + kServerHeader + 2, 1, 2});
}
END_TEST

START_TEST(a_message_that_is_sent_in_parts_is_one) {
    Service service;
    Recorded recorded;
    Client client = recorded.connect(service);
    client.await_open();
    const auto send = [&](Opcode opcode, std::string_view payload, bool fin) {
        const auto frame = websocket::engine::SharedFrame::build(opcode, bytes(payload), fin);
        ck_assert(service.engine().send(client.id, frame, 1'000'000) == SendResult::ok);
    };
    send(Opcode::text, "a", false);
    send(Opcode::ping, "p", true);
    send(Opcode::continuation, "b", false);
    send(Opcode::continuation, "c", true);
    for (int i = 0; i < 4; ++i) static_cast<void>(client.peer.receive());
    close_properly(client);
    recorded.expect_traffic({kClientHeader + 2, 4 * (kServerHeader + 1) + kServerHeader + 2, 0, 1});
}
END_TEST

START_TEST(what_came_behind_the_handshake_and_behind_the_end_counts) {
    Service service;
    Recorded recorded;
    Client client = recorded.connect(service, {}, {.early_input = masked(Opcode::text, "early")});
    client.await_messages(1);
    client.peer.send(masked(Opcode::close, close_payload(1000)));
    client.peer.expect_close(1000);
    client.peer.send("12345678");
    client.peer.expect_end();
    client.peer.disconnect();
    recorded.expect_traffic({kClientHeader + 5 + kClientHeader + 2 + 8, kServerHeader + 2, 1, 0});
}
END_TEST

START_TEST(what_the_peer_did_not_take_is_not_counted_as_sent) {
    Service service;
    Recorded recorded;
    Client client = recorded.connect(service, {}, {.socket_buffer = 8'000});
    client.await_open();
    ck_assert(service.send(client.id, std::string(10'000'000, 'x')) == SendResult::ok);
    client.peer.disconnect();
    const Account account = recorded.await();
    ck_assert_uint_lt(account.traffic.bytes_out, 10'000'000);
}
END_TEST

START_TEST(a_clients_close_is_its_own) {
    Service service;
    Recorded recorded;
    Client client = recorded.connect(service);
    client.peer.send_close(4001);
    client.peer.expect_close(4001);
    client.peer.disconnect();
    recorded.expect_ending(4001, Ender::client);
}
END_TEST

START_TEST(a_clients_close_stays_its_own_while_the_plugin_still_works) {
    Service service;
    service.options.close_timeout = 64ms;
    Recorded recorded;
    Client client = recorded.connect(service, {.drained = [](ConnectionId) { return false; }});
    client.peer.send_close(4001);
    client.peer.expect_close(4001);
    client.peer.disconnect();
    recorded.expect_ending(4001, Ender::client);
}
END_TEST

START_TEST(an_end_of_stream_is_the_clients) {
    Service service;
    Recorded recorded;
    Client client = recorded.connect(service);
    client.await_open();
    client.peer.disconnect();
    recorded.expect_ending(1006, Ender::client, "stream ended without a Close");
}
END_TEST

START_TEST(a_plugins_close_is_the_servers) {
    Service service;
    Recorded recorded;
    Client client = recorded.connect(service);
    client.await_open();
    ck_assert(service.close(client.id, 4002));
    client.peer.expect_close(4002);
    client.peer.send_close(4002);
    client.peer.disconnect();
    recorded.expect_ending(4002, Ender::server);
}
END_TEST

START_TEST(a_violation_is_the_servers_close_with_its_reason) {
    Service service;
    Recorded recorded;
    Client client = recorded.connect(service);
    client.peer.send(masked(Opcode::text, "\xFF"));
    client.peer.expect_close(1007);
    client.peer.disconnect();
    recorded.expect_ending(1007, Ender::server, "text is not UTF-8");
}
END_TEST

START_TEST(a_reset_is_nobodys_close) {
    Service service;
    Recorded recorded;
    Client client = recorded.connect(service);
    client.await_open();
    client.peer.reset();
    recorded.expect_ending(1006, Ender::network);
}
END_TEST

START_TEST(the_end_of_the_process_is_the_servers) {
    Service service;
    Recorded recorded;
    Client client = recorded.connect(service);
    client.await_open();
    service.stop();
    recorded.expect_ending(1001, Ender::server, "server is stopping");
}
END_TEST

START_TEST(a_record_goes_with_its_unused_place) {
    Service service;
    const auto report = std::make_shared<Report>();
    {
        Engine::Place place = service.reserve();
        place->attach(std::make_unique<ReportingRecord>(websocket::engine::RateLimits{}, report));
    }
    ck_assert_uint_eq(report->get().size(), 1);
}
END_TEST

/// The place may only be given away again when all that the record holds is given back.
START_TEST(a_record_is_gone_before_its_place_is_free) {
    Service service({.loops = 1, .max_connections = 1});
    for (int i = 0; i < 50; ++i) {
        Recorded recorded;
        Client client = recorded.connect(service);
        client.await_open();
        client.peer.reset();
        service.await_empty();
        ck_assert_uint_eq(recorded.report->get().size(), 1);
    }
}
END_TEST

WEBSOCKET_TEST_SUITE(connection_record) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, whole_messages_and_all_bytes_are_counted_both_ways);
    tcase_add_test(tests, fragments_are_one_message_and_control_frames_are_none);
    tcase_add_test(tests, large_messages_and_what_other_threads_send_are_counted_too);
    tcase_add_test(tests, a_message_that_is_sent_in_parts_is_one);
    tcase_add_test(tests, what_came_behind_the_handshake_and_behind_the_end_counts);
    tcase_add_test(tests, what_the_peer_did_not_take_is_not_counted_as_sent);
    tcase_add_test(tests, a_clients_close_is_its_own);
    tcase_add_test(tests, a_clients_close_stays_its_own_while_the_plugin_still_works);
    tcase_add_test(tests, an_end_of_stream_is_the_clients);
    tcase_add_test(tests, a_plugins_close_is_the_servers);
    tcase_add_test(tests, a_violation_is_the_servers_close_with_its_reason);
    tcase_add_test(tests, a_reset_is_nobodys_close);
    tcase_add_test(tests, the_end_of_the_process_is_the_servers);
    tcase_add_test(tests, a_record_goes_with_its_unused_place);
    tcase_add_test(tests, a_record_is_gone_before_its_place_is_free);
}
