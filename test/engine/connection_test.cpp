// SPDX-License-Identifier: Apache-2.0
// What an application gets from a connection that works; how it ends, what slows it down and what
// breaks it have files of their own.
#include "engine/connection.hpp"

#include "engine/service.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::engine::SendResult;

START_TEST(echoes_messages_in_order) {
    Service service;
    Client client = service.connect(service.echo());
    for (const char* text : {"one", "two", "", "three"}) client.peer.send_text(text);
    for (const char* text : {"one", "two", "", "three"}) client.peer.expect_text(text);
    client.peer.send(Opcode::binary, std::string(70'000, '\xFF'));
    client.peer.expect(Opcode::binary, std::string(70'000, '\xFF'));
}
END_TEST

START_TEST(serves_what_came_behind_the_handshake_first) {
    Service service;
    Client client = service.connect(service.echo(),
                                    {.early_input = masked(Opcode::text, "early") +
                                                    masked(Opcode::text, "split").substr(0, 3)});
    client.peer.send(masked(Opcode::text, "split").substr(3));
    client.peer.expect_text("early");
    client.peer.expect_text("split");
}
END_TEST

START_TEST(takes_frames_byte_by_byte) {
    Service service;
    Client client = service.connect(service.echo());
    client.script->on_read([](std::size_t) { return IoResult{Script::kGoOn, 1}; });
    client.peer.send(masked(Opcode::text, "frag", false) + masked(Opcode::ping, "p") +
                     masked(Opcode::continuation, "ments"));
    client.peer.expect(Opcode::pong, "p");
    client.peer.expect_text("fragments");
}
END_TEST

START_TEST(survives_a_transport_that_writes_an_byte_at_a_time) {
    Service service;
    Client client = service.connect(service.echo());
    client.script->on_write([](std::size_t call) {
        return call % 3 == 0 ? IoResult{IoStatus::would_block} : IoResult{Script::kGoOn, 1};
    });
    for (int i = 0; i < 20; ++i) client.peer.send_text("message " + std::to_string(i));
    for (int i = 0; i < 20; ++i) client.peer.expect_text("message " + std::to_string(i));
}
END_TEST

START_TEST(writes_the_rest_of_a_large_frame_that_was_written_in_part) {
    Service service;
    Client client = service.connect(service.echo());
    const std::string large(200'000, 'l');
    client.script->on_write([](std::size_t call) {
        return call == 0 ? IoResult{Script::kGoOn, 5} : Script::kNormally;
    });
    client.peer.send(masked(Opcode::text, "small") + masked(Opcode::text, large));
    client.peer.expect_text("small");
    client.peer.expect_text(large);
    client.peer.send_text("after");
    client.peer.expect_text("after");
}
END_TEST

/// Every cut through cork, header and payload of one gathered write.
START_TEST(loses_no_byte_wherever_a_gathered_write_stops) {
    Service service;
    const std::string large(9'000, 'l');
    for (std::size_t cut = 1; cut < 24; ++cut) {
        Client client = service.connect(service.echo());
        client.script->on_write([cut](std::size_t call) {
            return call == 0 ? IoResult{Script::kGoOn, cut} : Script::kNormally;
        });
        client.peer.send(masked(Opcode::text, "corked") + masked(Opcode::text, large) +
                         masked(Opcode::text, "next"));
        client.peer.expect_text("corked");
        client.peer.expect_text(large);
        client.peer.expect_text("next");
    }
}
END_TEST

START_TEST(answers_of_one_read_leave_in_one_write) {
    Service service;
    Client client = service.connect(service.echo());
    std::string input;
    for (int i = 0; i < 50; ++i) input += masked(Opcode::text, std::to_string(i));
    input += masked(Opcode::ping, "ping");
    client.peer.send(input);
    for (int i = 0; i < 50; ++i) client.peer.expect_text(std::to_string(i));
    client.peer.expect(Opcode::pong, "ping");
    ck_assert_uint_eq(client.script->reads(), 1);
    ck_assert_uint_eq(client.script->writes(), 1);
}
END_TEST

START_TEST(sends_that_wait_together_leave_in_one_write) {
    Door blocked;
    Door go;
    Service service;
    Client busy = service.connect({.on_message = [&](ConnectionId, Message) {
        blocked.open();
        static_cast<void>(go.passed());
        return Flow::more;
    }});
    Client client = service.connect();
    client.await_open();
    busy.peer.send_text("block the loop");
    blocked.await("the loop to be busy");
    for (int i = 0; i < 50; ++i) ck_assert(service.send(client.id, "x") == SendResult::ok);
    go.open();
    for (int i = 0; i < 50; ++i) client.peer.expect_text("x");
    ck_assert_uint_eq(client.script->writes(), 1);
}
END_TEST

START_TEST(receives_a_large_message_where_it_stays) {
    Service service;
    Client client = service.connect({.on_message = [&](ConnectionId id, Message message) {
        const bool owned = message.owner != nullptr &&
                           message.owner->bytes().data() == message.payload.data() &&
                           message.owner->size() == message.payload.size();
        static_cast<void>(service.send(id, owned ? "owned" : "borrowed"));
        return Flow::more;
    }});
    std::string large(5'000'000, ' ');
    for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>('a' + i % 23);
    client.peer.send(masked(Opcode::text, large.substr(0, 3'000'000), false) +
                     masked(Opcode::continuation, large.substr(3'000'000)) +
                     masked(Opcode::text, "small"));
    client.peer.expect_text("owned");
    client.peer.expect_text("borrowed");
    const auto messages = client.await_messages(2);
    ck_assert(messages[0] == large);
    ck_assert(messages[1] == "small");
}
END_TEST

START_TEST(answers_pings_between_the_fragments_of_a_message) {
    Service service;
    Client client = service.connect(service.echo());
    client.peer.send(masked(Opcode::text, "a", false));
    client.peer.send(Opcode::ping, "in between");
    client.peer.expect(Opcode::pong, "in between");
    client.peer.send(masked(Opcode::continuation, "b"));
    client.peer.expect_text("ab");
}
END_TEST

START_TEST(sends_from_on_open_go_first) {
    Service service;
    Client client = service.connect(
        {.on_open =
             [&](ConnectionId id) { ck_assert(service.send(id, "hello") == SendResult::ok); },
         .on_message = service.echo().on_message},
        {.early_input = masked(Opcode::text, "early")});
    client.peer.expect_text("hello");
    client.peer.expect_text("early");
}
END_TEST

START_TEST(one_connection_may_send_to_another_of_its_loop) {
    Service service;
    Client listener = service.connect();
    listener.await_open();
    Client speaker = service.connect({.on_message = [&](ConnectionId, Message message) {
        static_cast<void>(service.send(listener.id, text_of(message.payload)));
        return Flow::more;
    }});
    speaker.peer.send(masked(Opcode::text, "1") + masked(Opcode::text, "2"));
    listener.peer.expect_text("1");
    listener.peer.expect_text("2");
}
END_TEST

START_TEST(refuses_control_frames_that_are_too_long) {
    std::atomic<SendResult> inside{SendResult::ok};
    Service service;
    Client client = service.connect({.on_message = [&](ConnectionId id, Message) {
        inside = service.send(id, std::string(126, 'x'), Opcode::ping);
        return Flow::more;
    }});
    client.peer.send_text("go");
    client.await_messages(1);
    ck_assert(service.send(client.id, std::string(126, 'x'), Opcode::ping) == SendResult::too_big);
    ck_assert(service.send(client.id, std::string(125, 'x'), Opcode::ping) == SendResult::ok);
    client.peer.expect(Opcode::ping, std::string(125, 'x'));
    ck_assert(inside == SendResult::too_big);
}
END_TEST

WEBSOCKET_TEST_SUITE(connection) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, echoes_messages_in_order);
    tcase_add_test(tests, serves_what_came_behind_the_handshake_first);
    tcase_add_test(tests, takes_frames_byte_by_byte);
    tcase_add_test(tests, survives_a_transport_that_writes_an_byte_at_a_time);
    tcase_add_test(tests, writes_the_rest_of_a_large_frame_that_was_written_in_part);
    tcase_add_test(tests, loses_no_byte_wherever_a_gathered_write_stops);
    tcase_add_test(tests, answers_of_one_read_leave_in_one_write);
    tcase_add_test(tests, sends_that_wait_together_leave_in_one_write);
    tcase_add_test(tests, receives_a_large_message_where_it_stays);
    tcase_add_test(tests, answers_pings_between_the_fragments_of_a_message);
    tcase_add_test(tests, sends_from_on_open_go_first);
    tcase_add_test(tests, one_connection_may_send_to_another_of_its_loop);
    tcase_add_test(tests, refuses_control_frames_that_are_too_long);
}
