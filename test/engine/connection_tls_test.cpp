// SPDX-License-Identifier: Apache-2.0
// Connections whose transport knows of more than the descriptor shows.
#include "engine/connection.hpp"

#include "engine/service.hpp"
#include "engine/tls_ends.hpp"
#include "unit.hpp"

using namespace websocket::test;
namespace protocol = websocket::protocol;

namespace {

struct TlsClient {
    TlsPeer peer;
    std::shared_ptr<Record> record;
    ConnectionId id;

    void send(Opcode opcode, std::string_view payload) { peer.send(masked(opcode, payload)); }
    void await_messages(std::size_t count) const {
        record->await([=](const Story& story) { return story.messages.size() >= count; },
                      "messages");
    }
    void expect_closed(std::uint16_t code, bool by_peer) const {
        const CloseInfo info =
            record->await([](const Story& story) { return !story.closes.empty(); }, "on_close")
                .closes.front();
        ck_assert_uint_eq(info.code, code);
        ck_assert_int_eq(info.by_peer, by_peer);
    }
};

/// A frame as the server sends it.
std::string unmasked(Opcode opcode, std::string_view payload) {
    const protocol::EncodedHeader header(opcode, payload.size());
    return text_of(header.bytes()) + std::string(payload);
}

std::string close_frame(std::uint16_t code, std::string_view reason = {}) {
    return unmasked(Opcode::close, close_payload(code) + std::string(reason));
}

TlsClient connect(Service& service, TlsHandshake handshake, Behaviour behaviour,
                  const std::string& early_input = {}) {
    Engine::Place place = service.reserve();
    const ConnectionId id = place.id();
    auto record = std::make_shared<Record>();
    websocket::base::ByteBuffer early;
    early.append(bytes(early_input));
    service.engine().adopt(std::move(place),
                           std::make_unique<TlsTransport>(handshake.server.release(),
                                                          std::move(handshake.sockets.server),
                                                          websocket::base::ByteBuffer()),
                           std::make_unique<RecordingSession>(record, id, std::move(behaviour)),
                           service.options, 13, std::move(early));
    return {TlsPeer(std::move(handshake.client), std::move(handshake.sockets.client)),
            std::move(record), id};
}

TlsWiring any_version(int index) {
    return {.version = kTlsVersions.at(static_cast<std::size_t>(index))};
}

}  // namespace

START_TEST(echoes_messages_of_all_sizes) {
    Service service;
    TlsClient client = connect(service, TlsHandshake(any_version(_i)), service.echo());
    for (const std::size_t size : {0U, 1U, 125U, 16'380U, 16'384U, 100'000U, 3'000'000U}) {
        const std::string message(size, 'm');
        const std::string reply = unmasked(Opcode::binary, message);
        ck_assert(client.peer.exchange(masked(Opcode::binary, message), reply.size()) == reply);
    }
}
END_TEST

START_TEST(what_was_decrypted_before_is_served_although_nothing_more_comes) {
    TlsHandshake handshake(any_version(_i));
    std::string frames;
    for (int i = 0; i < 100; ++i) frames += masked(Opcode::text, std::to_string(i));
    handshake.server.feed(handshake.client.encrypt(frames));
    std::string early(3, '\0');
    ck_assert_int_eq(SSL_read(handshake.server.get(), early.data(), 3), 3);
    Service service;
    TlsClient client = connect(service, std::move(handshake), service.echo(), early);
    std::string reply;
    for (int i = 0; i < 100; ++i) reply += unmasked(Opcode::text, std::to_string(i));
    client.peer.expect(reply);
}
END_TEST

/// A large message is received where it stays; what shares its last record does not fit there.
START_TEST(a_message_in_the_last_record_of_a_large_one_is_served) {
    Service service;
    TlsClient client = connect(service, TlsHandshake(any_version(_i)), service.echo());
    const std::string large(100'000, 'l');
    std::string reply = unmasked(Opcode::binary, large);
    reply += unmasked(Opcode::text, "behind");
    std::string frames = masked(Opcode::binary, large);
    frames += masked(Opcode::text, "behind");
    ck_assert(client.peer.exchange(frames, reply.size()) == reply);
}
END_TEST

START_TEST(a_paused_session_gets_what_is_pending_when_it_resumes) {
    Service service;
    TlsClient client = connect(service, TlsHandshake(any_version(_i)),
                               {.on_message = [](ConnectionId, Message) { return Flow::pause; }});
    std::string frames = masked(Opcode::binary, std::string(100'000, 'l'));
    for (int i = 0; i < 10; ++i) frames += masked(Opcode::text, std::to_string(i));
    client.peer.send(frames);
    for (std::size_t i = 1; i <= 11; ++i) {
        client.await_messages(i);
        ck_assert_uint_eq(client.record->get().messages.size(), i);
        service.engine().resume(client.id);
    }
}
END_TEST

START_TEST(thousands_of_messages_in_flight_come_back_in_order) {
    Service service;
    TlsClient client = connect(service, TlsHandshake(any_version(_i)), service.echo());
    std::string frames;
    std::string reply;
    for (int i = 0; i < (kThreadSanitizer ? 1000 : 5000); ++i) {
        const std::string message = std::to_string(i) + std::string(1000, '.');
        frames += masked(Opcode::text, message);
        reply += unmasked(Opcode::text, message);
    }
    ck_assert(client.peer.exchange(frames, reply.size()) == reply);
}
END_TEST

START_TEST(sixteen_megabytes_reach_a_peer_that_reads_late) {
    Service service;
    const std::string message((kThreadSanitizer ? 4U : 16U) << 20U, 'm');
    TlsClient client =
        connect(service, TlsHandshake(any_version(_i)), {.on_open = [&](ConnectionId id) {
                    ck_assert(service.send(id, message) == SendResult::ok);
                }});
    client.peer.expect(unmasked(Opcode::text, message));
    client.send(Opcode::ping, "well?");
    client.peer.expect(unmasked(Opcode::pong, "well?"));
}
END_TEST

START_TEST(the_closing_handshake_ends_with_close_notify_from_both_sides) {
    Service service;
    TlsClient client = connect(service, TlsHandshake(any_version(_i)), {});
    client.send(Opcode::close, close_payload(1000));
    client.peer.expect(close_frame(1000));
    client.expect_closed(1000, true);
    client.peer.expect_end();
    ck_assert_uint_eq(service.engine().connections(), 1);  // our side is not shut yet
    client.peer.tcp().send(client.peer.close_notify());
    service.await_empty();
}
END_TEST

START_TEST(close_notify_without_a_close_is_an_abnormal_end) {
    Service service;
    TlsClient client = connect(service, TlsHandshake(any_version(_i)), {});
    client.peer.tcp().send(client.peer.close_notify());
    client.expect_closed(1006, true);
    client.peer.expect(close_frame(1011, "stream ended without a Close"));
    client.peer.expect_end();
    service.await_empty();
}
END_TEST

START_TEST(garbage_is_an_abnormal_end_of_this_connection_only) {
    Service service;
    TlsClient client = connect(service, TlsHandshake(any_version(_i)), {});
    TlsClient other = connect(service, TlsHandshake(any_version(_i)), service.echo());
    client.peer.tcp().send("GET / HTTP/1.1\r\n\r\n");
    client.expect_closed(1006, false);
    const std::string reply = unmasked(Opcode::text, "hello");
    ck_assert(other.peer.exchange(masked(Opcode::text, "hello"), reply.size()) == reply);
}
END_TEST

START_TEST(bytes_of_a_record_that_is_not_whole_are_a_sign_of_life) {
    Service service;
    service.options.ping_interval = 32ms;
    service.options.pong_timeout = kPatience / 2;
    TlsClient client = connect(service, TlsHandshake(any_version(_i)), {});
    const std::string record = client.peer.encrypt(masked(Opcode::text, "slow"));
    for (const char byte : record) {
        client.peer.expect(unmasked(Opcode::ping, "ping"));  // another one, as it was not silent
        client.peer.tcp().send({&byte, 1});
    }
    client.await_messages(1);
}
END_TEST

WEBSOCKET_TEST_SUITE(connection_tls) {
    tcase_set_timeout(tests, kTestTimeout);
    constexpr auto kEach = static_cast<int>(kTlsVersions.size());
    tcase_add_loop_test(tests, echoes_messages_of_all_sizes, 0, kEach);
    tcase_add_loop_test(tests, what_was_decrypted_before_is_served_although_nothing_more_comes, 0,
                        kEach);
    tcase_add_loop_test(tests, a_message_in_the_last_record_of_a_large_one_is_served, 0, kEach);
    tcase_add_loop_test(tests, a_paused_session_gets_what_is_pending_when_it_resumes, 0, kEach);
    tcase_add_loop_test(tests, thousands_of_messages_in_flight_come_back_in_order, 0, kEach);
    tcase_add_loop_test(tests, sixteen_megabytes_reach_a_peer_that_reads_late, 0, kEach);
    tcase_add_loop_test(tests, the_closing_handshake_ends_with_close_notify_from_both_sides, 0,
                        kEach);
    tcase_add_loop_test(tests, close_notify_without_a_close_is_an_abnormal_end, 0, kEach);
    tcase_add_loop_test(tests, garbage_is_an_abnormal_end_of_this_connection_only, 0, kEach);
    tcase_add_loop_test(tests, bytes_of_a_record_that_is_not_whole_are_a_sign_of_life, 0, kEach);
}
