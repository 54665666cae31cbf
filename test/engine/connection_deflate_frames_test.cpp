// SPDX-License-Identifier: Apache-2.0
// Compression of frames that others have encoded: one for many connections, and messages in parts.
#include <memory>
#include <string>
#include <vector>

#include "engine/connection.hpp"
#include "engine/deflate_peer.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::engine::SharedFrame;
using websocket::protocol::DeflateSettings;

START_TEST(a_frame_for_many_reaches_everybody_as_agreed) {
    Service service;
    DeflateSettings small = kWithoutContext;
    small.server_bits = 10;
    const DeflateSettings settings[] = {{}, kWithoutContext, kWithoutContext, small, kWithContext};
    std::vector<Client> clients;
    for (const DeflateSettings& one : settings) clients.push_back(connect(service, one));
    for (Client& client : clients) client.await_open();
    const std::string text = json(5000);
    const SharedFrame message = SharedFrame::build(Opcode::text, bytes(text));
    std::vector<DeflatePeer> peers;
    for (int round = 0; round < 3; ++round) {
        for (Client& client : clients) {
            ck_assert(service.engine().send(client.id, message, 1 << 20) == SendResult::ok);
        }
    }
    for (std::size_t i = 0; i < clients.size(); ++i) {
        if (settings[i].agreed()) {
            DeflatePeer peer(clients[i].peer, settings[i]);
            for (int round = 0; round < 3; ++round) ck_assert(peer.expect(text).compressed);
        } else {
            for (int round = 0; round < 3; ++round) clients[i].peer.expect_text(text);
        }
    }
}
END_TEST

START_TEST(a_frame_for_many_may_be_sent_between_others_and_from_the_loop) {
    const std::string text = json(5000);
    const SharedFrame message = SharedFrame::build(Opcode::text, bytes(text));
    Service service;
    Client client = connect(service, kModes[_i],
                            {.on_message = [&](ConnectionId id, websocket::engine::Message) {
                                static_cast<void>(service.engine().send(id, message, 1 << 20));
                                static_cast<void>(service.send(id, json(700)));
                                static_cast<void>(service.engine().send(id, message, 1 << 20));
                                return Flow::more;
                            }});
    DeflatePeer peer(client.peer, kModes[_i]);
    for (int round = 0; round < 3; ++round) {
        peer.send_compressed("go");
        peer.expect(text);
        peer.expect(json(700));
        peer.expect(text);
    }
    await_nothing_queued(service, client.id);
}
END_TEST

START_TEST(a_frame_for_many_to_nobody_is_gone) {
    Service service;
    const SharedFrame message = SharedFrame::build(Opcode::text, bytes(json(300)));
    ck_assert(service.engine().send(ConnectionId(), message, 1000) == SendResult::gone);
    Client client = connect(service, kWithoutContext);
    client.await_open();
    client.peer.disconnect();
    client.await_close();
    ck_assert(service.engine().send(client.id, message, 1000) == SendResult::gone);
}
END_TEST

START_TEST(messages_wait_for_the_end_of_one_in_parts_and_keep_their_order) {
    const DeflateSettings settings = kModes[_i];
    Service service;
    service.options.send_buffer = 64U << 20;
    Client client = connect(service, settings);
    client.await_open();
    const auto part = [&](Opcode opcode, std::string_view text, bool fin) {
        const SharedFrame frame = SharedFrame::build(opcode, bytes(text), fin);
        ck_assert(service.engine().send(client.id, frame, 1 << 20) == SendResult::ok);
    };
    const std::string large = json(300'000);
    const SharedFrame prepared = SharedFrame::build(Opcode::text, bytes(json(4000)));
    DeflatePeer peer(client.peer, settings);
    for (std::uint32_t round = 0; round < 3; ++round) {
        ck_assert(service.send(client.id, json(700, round)) == SendResult::ok);
        part(Opcode::text, "one ", false);
        ck_assert(service.send(client.id, json(800, round)) == SendResult::ok);
        ck_assert(service.send(client.id, large) == SendResult::ok);
        ck_assert(service.engine().send(client.id, prepared, 1 << 20) == SendResult::ok);
        part(Opcode::continuation, "two ", false);
        ck_assert(service.send(client.id, json(900, round)) == SendResult::ok);
        part(Opcode::continuation, "three", true);
        ck_assert(service.send(client.id, json(1000, round)) == SendResult::ok);
        ck_assert(peer.expect(json(700, round)).compressed);
        ck_assert(!peer.expect("one two three").compressed);
        ck_assert(peer.expect(json(800, round)).compressed);
        ck_assert(peer.expect(large).compressed);
        ck_assert(peer.expect(json(4000)).compressed);
        ck_assert(peer.expect(json(900, round)).compressed);
        ck_assert(peer.expect(json(1000, round)).compressed);
    }
    await_nothing_queued(service, client.id);
}
END_TEST

START_TEST(a_message_counts_as_one_however_it_is_compressed) {
    Service service;
    service.options.send_buffer = 64U << 20;
    const auto report = std::make_shared<Report>();
    Wiring wiring;
    wiring.report = report;
    Client client = connect(service, kModes[_i], service.echo(), wiring);
    DeflatePeer peer(client.peer, kModes[_i]);
    const SharedFrame prepared = SharedFrame::build(Opcode::text, bytes(json(4000)));
    peer.send_compressed(json(500));  // on the loop
    peer.expect(json(500));
    peer.send_compressed(json(200'000));  // part by part
    peer.expect(json(200'000));
    ck_assert(service.send(client.id, json(600)) == SendResult::ok);  // on this thread
    peer.expect(json(600));
    ck_assert(service.send(client.id, json(200'000, 2)) == SendResult::ok);
    peer.expect(json(200'000, 2));
    ck_assert(service.engine().send(client.id, prepared, 1 << 20) == SendResult::ok);
    peer.expect(json(4000));
    client.peer.disconnect();
    const auto accounts =
        report->await([](const auto& all) { return !all.empty(); }, "the connection's account");
    ck_assert_uint_eq(accounts.front().traffic.messages_in, 2);
    ck_assert_uint_eq(accounts.front().traffic.messages_out, 5);
}
END_TEST

START_TEST(the_engine_tells_what_was_agreed) {
    Service service;
    Client client = connect(service, kWithContext);
    ck_assert(service.engine().deflate(client.id) == kWithContext);
    ck_assert(service.engine().deflate(ConnectionId()) == DeflateSettings{});
    Client other = service.connect();
    ck_assert(!service.engine().deflate(other.id).agreed());
}
END_TEST

WEBSOCKET_TEST_SUITE(connection_deflate_frames) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, a_frame_for_many_reaches_everybody_as_agreed);
    tcase_add_loop_test(tests, a_frame_for_many_may_be_sent_between_others_and_from_the_loop, 0, 2);
    tcase_add_test(tests, a_frame_for_many_to_nobody_is_gone);
    tcase_add_loop_test(tests, messages_wait_for_the_end_of_one_in_parts_and_keep_their_order, 0,
                        2);
    tcase_add_loop_test(tests, a_message_counts_as_one_however_it_is_compressed, 0, 2);
    tcase_add_test(tests, the_engine_tells_what_was_agreed);
}
