// SPDX-License-Identifier: Apache-2.0
// Every way in which a connection can end that is nobody's failure. That on_close comes exactly
// once, and last, is what RecordingSession insists on in all of them.
#include "engine/connection.hpp"

#include "engine/service.hpp"
#include "unit.hpp"

using namespace websocket::test;

START_TEST(answers_the_peers_close_and_hangs_up) {
    Service service;
    Client client = service.connect();
    client.peer.send_close(4000);
    client.peer.expect_close(4000);
    client.peer.expect_end();
    client.peer.disconnect();
    client.expect_closed(4000, true);
    service.await_empty();
}
END_TEST

START_TEST(reports_1005_for_a_close_without_a_status) {
    Service service;
    Client client = service.connect();
    client.peer.send(Opcode::close, "");
    client.expect_closed(1005, true);
    client.peer.expect(Opcode::close, close_payload(1000));
}
END_TEST

/// RFC 6455 section 5.5.1: "it typically echos the status code it received".
START_TEST(the_answer_to_a_close_has_its_code_and_no_reason) {
    Service service;
    service.options.reader.allow_reserved_close_codes = true;
    for (const unsigned version : {7U, 8U, 13U}) {
        for (const unsigned number : {1000U, 1001U, 1004U, 1009U, 1011U, 1014U, 2000U, 4999U}) {
            const auto code = static_cast<std::uint16_t>(number);
            Client client = service.connect({}, {.version = version});
            client.peer.send(Opcode::close, close_payload(code) + "because");
            client.peer.expect(Opcode::close, close_payload(code));
            client.peer.expect_end();
            client.expect_closed(code, true);
        }
    }
    ck_assert_uint_eq(service.log.count("WS0304"), 0);  // nothing that this server has to explain
}
END_TEST

START_TEST(our_close_waits_for_the_peers) {
    Service service;
    Client client = service.connect();
    client.await_open();
    ck_assert(service.close(client.id, 4000));
    client.peer.expect_close(4000);
    ck_assert(!client.closed());
    client.peer.send_close(4000);
    client.expect_closed(4000, false);
    client.peer.expect_end();
    client.peer.disconnect();
    service.await_empty();
}
END_TEST

START_TEST(messages_still_arrive_between_our_close_and_the_peers) {
    Service service;
    Client client = service.connect(service.echo());
    client.await_open();
    ck_assert(service.close(client.id, 1000));
    client.peer.send_text("late");
    client.peer.send(Opcode::ping, "not answered");
    client.peer.send_close(1000);
    client.expect_closed(1000, false);
    ck_assert_uint_eq(client.record->get().messages.size(), 1);
    client.peer.expect_close(1000);  // and nothing before or behind it
    client.peer.expect_end();
}
END_TEST

START_TEST(what_was_sent_before_our_close_goes_out_before_it) {
    Service service;
    Client client = service.connect();
    client.await_open();
    for (int i = 0; i < 100; ++i) {
        ck_assert(service.send(client.id, std::to_string(i)) == SendResult::ok);
    }
    ck_assert(service.close(client.id, 1000));
    ck_assert(service.send(client.id, "late") == SendResult::closing);
    ck_assert(!service.close(client.id, 1001));
    for (int i = 0; i < 100; ++i) client.peer.expect_text(std::to_string(i));
    client.peer.expect_close(1000);
}
END_TEST

START_TEST(both_sides_may_close_at_once) {
    Service service;
    for (int i = 0; i < 100; ++i) {
        Client client = service.connect();
        client.await_open();
        std::thread closer([&] { service.close(client.id, 4001); });
        client.peer.send_close(4002);
        const CloseInfo info = client.await_close();
        closer.join();
        ck_assert_uint_eq(info.code, 4002);
        const Frame close = client.peer.receive();  // exactly one
        ck_assert_int_eq(static_cast<int>(close.opcode), static_cast<int>(Opcode::close));
        client.peer.expect_end();
    }
}
END_TEST

START_TEST(a_session_may_close_inside_of_a_message) {
    Service service;
    Client client = service.connect({.on_message = [&](ConnectionId id, Message) {
        ck_assert(service.send(id, "bye") == SendResult::ok);
        ck_assert(service.close(id, 4000));
        ck_assert(!service.close(id, 4001));
        ck_assert(service.send(id, "too late") == SendResult::closing);
        return Flow::more;
    }});
    client.peer.send_text("go");
    client.peer.expect_text("bye");
    client.peer.expect_close(4000);
    client.peer.send_close(4000);
    client.expect_closed(4000, false);
    client.peer.expect_end();
}
END_TEST

START_TEST(in_on_close_nothing_can_be_sent_and_nothing_breaks) {
    std::atomic<int> answers{0};
    Service service;
    Client client = service.connect({.on_close = [&](ConnectionId id) {
        answers += service.send(id, "x") == SendResult::gone ? 1 : 0;
        answers += service.close(id, 1000) ? 0 : 1;
        service.engine().resume(id);
        ++answers;
    }});
    client.peer.send_close(1000);
    client.await_close();
    ck_assert_int_eq(answers, 3);
    client.peer.expect_close(1000);
    client.peer.expect_end();
    client.peer.disconnect();
    service.await_empty();
}
END_TEST

START_TEST(the_peers_close_waits_for_answers_that_are_on_their_way) {
    Door draining;
    Service service;
    Client client = service.connect({.drained = [&](ConnectionId) {
        draining.open();
        return false;
    }});
    client.peer.send(masked(Opcode::text, "question") + masked(Opcode::close, close_payload(4000)));
    draining.await("the end of the input");
    ck_assert(!client.closed());
    ck_assert(service.send(client.id, "answer") == SendResult::ok);
    client.peer.expect_text("answer");
    ck_assert(service.send(client.id, "and more") == SendResult::ok);
    service.engine().resume(client.id);
    client.peer.expect_text("and more");
    client.peer.expect_close(4000);
    client.expect_closed(4000, true);
    client.peer.expect_end();
}
END_TEST

START_TEST(a_violation_waits_for_answers_too_and_then_says_what_was_wrong) {
    Door draining;
    Service service;
    Client client = service.connect({.drained = [&](ConnectionId) {
        draining.open();
        return false;
    }});
    client.peer.send(masked(Opcode::text, "question") + "\xFF\xFF");
    draining.await("the end of the input");
    ck_assert(service.send(client.id, "answer") == SendResult::ok);
    service.engine().resume(client.id);
    client.peer.expect_text("answer");
    client.peer.expect_close(1002);
    client.expect_closed(1002, false);
}
END_TEST

START_TEST(a_session_may_close_while_it_drains) {
    Door draining;
    Service service;
    Client client = service.connect({.drained = [&](ConnectionId) {
        draining.open();
        return false;
    }});
    client.peer.send_close(4000);
    draining.await("the end of the input");
    ck_assert(service.close(client.id, 4001));
    service.engine().resume(client.id);
    client.expect_closed(4000, true);
    const Frame close = client.peer.receive();
    ck_assert_int_eq(static_cast<int>(close.opcode), static_cast<int>(Opcode::close));
    client.peer.expect_end();
}
END_TEST

START_TEST(a_violation_is_closed_with_its_code) {
    Service service;
    service.options.reader.max_message_size = 1000;
    const struct {
        std::string input;
        std::uint16_t code;
    } kCases[] = {
        {client_frame({.payload = "x", .rsv = 1}), 1002},
        {client_frame({.payload = "x", .masked = false}), 1002},
        {masked(Opcode::continuation, "x"), 1002},
        {masked(Opcode::close, "x"), 1002},
        {masked(Opcode::close, close_payload(1005)), 1002},
        {masked(Opcode::text, "\xFF"), 1007},
        {masked(Opcode::text, "\xC3", false) + masked(Opcode::continuation, "x"), 1007},
        {masked(Opcode::binary, std::string(1001, 'x')), 1009},
    };
    for (const auto& one : kCases) {
        Client client = service.connect(service.echo());
        client.peer.send(masked(Opcode::text, "before") + one.input);
        client.peer.expect_text("before");
        client.peer.expect_close(one.code);
        client.expect_closed(one.code, false);
        client.peer.expect_end();
    }
}
END_TEST

START_TEST(clients_of_the_old_drafts_get_their_own_code_for_too_big) {
    Service service;
    service.options.reader.max_message_size = 10;
    Client client = service.connect({}, {.version = 8});
    client.peer.send_text("12345678901");
    client.peer.expect_close(1004);
    client.expect_closed(1004, false);
}
END_TEST

START_TEST(nothing_behind_the_peers_close_is_looked_at) {
    Service service;
    Client client = service.connect(service.echo());
    client.peer.send(masked(Opcode::close, close_payload(1000)) + masked(Opcode::text, "late") +
                     "\xFF\xFF");
    client.peer.expect_close(1000);
    client.peer.send(std::string(100'000, '\xFF'));
    client.peer.shut_down();
    client.peer.expect_end();
    client.expect_closed(1000, true);
    ck_assert_uint_eq(client.record->get().messages.size(), 0);
    service.await_empty();
}
END_TEST

START_TEST(half_a_connection_that_still_listens_gets_its_answers) {
    Service service;
    Client client = service.connect(service.echo());
    client.peer.send_text("last words");
    client.peer.shut_down();
    client.peer.expect_text("last words");
    client.peer.expect_close(1011);
    client.peer.expect_end();
    client.expect_closed(1006, true);
    service.await_empty();
}
END_TEST

START_TEST(a_client_that_shuts_its_side_behind_its_close_still_gets_all) {
    Service service;
    service.options.send_buffer = 4'000'000;
    Client client = service.connect({}, {.socket_buffer = 20'000});
    client.await_open();
    const std::string large(2'000'000, 'x');
    ck_assert(service.send(client.id, large) == SendResult::ok);
    client.peer.send_close(1000);
    client.expect_closed(1000, true);
    client.peer.shut_down();
    client.peer.expect_text(large);
    client.peer.expect_close(1000);
    client.peer.expect_end();
    service.await_empty();
}
END_TEST

START_TEST(an_end_inside_of_a_frame_is_just_an_end) {
    Service service;
    for (const std::size_t cut : {1U, 5U, 7U}) {
        Client client = service.connect();
        client.peer.send(masked(Opcode::text, "unfinished").substr(0, cut));
        client.peer.disconnect();
        client.expect_closed(1006, true);
    }
    service.await_empty();
}
END_TEST

START_TEST(a_reset_ends_it_in_every_state) {
    Service service;
    Client open = service.connect();
    open.await_open();
    open.peer.reset();
    open.expect_closed(1006, false);

    Client closing = service.connect();
    closing.await_open();
    service.close(closing.id, 1000);
    closing.peer.expect_close(1000);
    closing.peer.reset();
    closing.await_close();

    Client paused =
        service.connect({.on_message = [](ConnectionId, Message) { return Flow::pause; }});
    paused.peer.send_text("pause");
    paused.await_messages(1);
    paused.peer.reset();
    paused.expect_closed(1006, false);

    Client draining = service.connect({.drained = [](ConnectionId) { return false; }});
    draining.peer.send_close(4000);
    draining.peer.reset();
    draining.await_close();

    Client lingering = service.connect();
    lingering.peer.send_close(4000);
    lingering.peer.expect_close(4000);
    lingering.peer.reset();
    lingering.expect_closed(4000, true);
    service.await_empty();
}
END_TEST

WEBSOCKET_TEST_SUITE(connection_close) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, answers_the_peers_close_and_hangs_up);
    tcase_add_test(tests, reports_1005_for_a_close_without_a_status);
    tcase_add_test(tests, the_answer_to_a_close_has_its_code_and_no_reason);
    tcase_add_test(tests, our_close_waits_for_the_peers);
    tcase_add_test(tests, messages_still_arrive_between_our_close_and_the_peers);
    tcase_add_test(tests, what_was_sent_before_our_close_goes_out_before_it);
    tcase_add_test(tests, both_sides_may_close_at_once);
    tcase_add_test(tests, a_session_may_close_inside_of_a_message);
    tcase_add_test(tests, in_on_close_nothing_can_be_sent_and_nothing_breaks);
    tcase_add_test(tests, the_peers_close_waits_for_answers_that_are_on_their_way);
    tcase_add_test(tests, a_violation_waits_for_answers_too_and_then_says_what_was_wrong);
    tcase_add_test(tests, a_session_may_close_while_it_drains);
    tcase_add_test(tests, a_violation_is_closed_with_its_code);
    tcase_add_test(tests, clients_of_the_old_drafts_get_their_own_code_for_too_big);
    tcase_add_test(tests, nothing_behind_the_peers_close_is_looked_at);
    tcase_add_test(tests, half_a_connection_that_still_listens_gets_its_answers);
    tcase_add_test(tests, a_client_that_shuts_its_side_behind_its_close_still_gets_all);
    tcase_add_test(tests, an_end_inside_of_a_frame_is_just_an_end);
    tcase_add_test(tests, a_reset_ends_it_in_every_state);
}
