// SPDX-License-Identifier: Apache-2.0
// Slow peers and slow sessions: nothing piles up, nothing is lost or changes its place.
#include "engine/connection.hpp"

#include "engine/service.hpp"
#include "unit.hpp"

using namespace websocket::test;

namespace {

/// Sends text messages 0, 1, 2, ... until the server has not read for a while; how many went out
/// whole.
class Flood {
public:
    explicit Flood(Peer& peer) : peer_(peer) {}

    /// One message of `size` bytes, or a part of it; false when the socket is full.
    bool send_more(std::size_t size) {
        if (rest_.empty()) rest_ = masked(Opcode::binary, message(sent_++, size));
        const std::size_t taken = peer_.send_some(rest_);
        rest_.erase(0, taken);
        return taken > 0;
    }
    void finish() { peer_.send(std::exchange(rest_, {})); }
    [[nodiscard]] std::size_t sent() const { return sent_; }

    static std::string message(std::size_t number, std::size_t size) {
        std::string text = std::to_string(number) + ":";
        text.resize(std::max(size, text.size()), '.');
        return text;
    }

private:
    Peer& peer_;
    std::string rest_;
    std::size_t sent_ = 0;
};

/// Until every buffer on the way is full and the server has stopped reading.
void send_until_full(Flood& flood, Peer& peer, std::size_t size) {
    for (;;) {
        while (flood.send_more(size)) {
        }
        pollfd poll{peer.descriptor(), POLLOUT, 0};
        if (::poll(&poll, 1, 300) == 0) return;  // a whole while without any room
    }
}

}  // namespace

START_TEST(a_peer_that_does_not_read_is_read_from_no_further_and_served_when_it_does) {
    constexpr std::size_t kSize = 1000;
    Service service;
    service.options.send_buffer = 20'000;
    Client client = service.connect(service.echo(), {.socket_buffer = 8'000});
    Flood flood(client.peer);
    send_until_full(flood, client.peer, kSize);
    const std::size_t handled = client.record->get().messages.size();
    ck_assert_uint_lt(handled, flood.sent() + 1);
    std::thread finisher([&] { flood.finish(); });
    for (std::size_t i = 0; i < flood.sent(); ++i) {
        client.peer.expect(Opcode::binary, Flood::message(i, kSize));
    }
    finisher.join();
    client.peer.send_text("still here");
    client.peer.expect_text("still here");
}
END_TEST

/// The answer to a paused read leaves at once, so that reading may go on while a part of what was
/// read is still unread and more waits in the socket.
START_TEST(messages_keep_their_order_when_reading_goes_on_after_a_slow_write) {
    Service service;
    service.options.send_buffer = 100;
    Client client = service.connect(service.echo());
    constexpr std::size_t kMessages = 60;
    constexpr std::size_t kSize = 9000;  // too large to be collected
    std::string input;
    for (std::size_t i = 0; i < kMessages; ++i) {
        input += masked(Opcode::binary, Flood::message(i, kSize));
    }
    // Whatever is written within a callback has to be queued; the next attempt works.
    client.script->on_write([](std::size_t call) {
        return call % 2 == 0 ? IoResult{IoStatus::would_block} : Script::kNormally;
    });
    client.script->on_read([](std::size_t) { return IoResult{Script::kGoOn, 40'000}; });
    client.peer.send(input);
    for (std::size_t i = 0; i < kMessages; ++i) {
        client.peer.expect(Opcode::binary, Flood::message(i, kSize));
    }
}
END_TEST

START_TEST(a_flood_of_pings_to_a_peer_that_does_not_read_is_not_kept) {
    Service service;
    service.options.send_buffer = 10'000;
    Client client = service.connect({}, {.socket_buffer = 8'000});
    const std::string ping = masked(Opcode::ping, std::string(125, 'p'));
    std::size_t sent = 0;
    std::string rest;
    for (pollfd poll{client.peer.descriptor(), POLLOUT, 0}; ::poll(&poll, 1, 300) > 0;) {
        if (rest.empty()) {
            rest = ping;
            ++sent;
        }
        rest.erase(0, client.peer.send_some(rest));
        ck_assert_uint_lt(sent, 1'000'000);
    }
    std::thread finisher([&] { client.peer.send(rest); });
    for (std::size_t i = 0; i < sent; ++i) {
        client.peer.expect(Opcode::pong, std::string(125, 'p'));
    }
    finisher.join();
}
END_TEST

START_TEST(a_paused_session_gets_nothing_until_it_resumes_and_then_all_in_order) {
    Service service;
    Client client =
        service.connect({.on_message = [](ConnectionId, Message) { return Flow::pause; }});
    std::string input;
    for (int i = 0; i < 100; ++i) input += masked(Opcode::text, std::to_string(i));
    client.peer.send(input + masked(Opcode::ping, "p"));
    for (std::size_t i = 0; i < 100; ++i) {
        const auto messages = client.await_messages(i + 1);
        ck_assert_uint_eq(messages.size(), i + 1);
        ck_assert(messages.back() == std::to_string(i));
        ck_assert(!client.peer.readable(0ms));  // nor is a Ping behind it answered
        service.engine().resume(client.id);
    }
    client.peer.expect(Opcode::pong, "p");
}
END_TEST

START_TEST(a_paused_connection_does_not_read_its_socket) {
    Service service;
    Client client =
        service.connect({.on_message = [](ConnectionId, Message) { return Flow::pause; }},
                        {.socket_buffer = 8'000});
    Flood flood(client.peer);
    send_until_full(flood, client.peer, 1000);
    ck_assert_uint_eq(client.record->get().messages.size(), 1);
    ck_assert_uint_eq(client.script->reads(), 1);
}
END_TEST

START_TEST(a_paused_connection_still_sends) {
    Service service;
    Client client =
        service.connect({.on_message = [](ConnectionId, Message) { return Flow::pause; }});
    client.peer.send_text("pause");
    client.await_messages(1);
    ck_assert(service.send(client.id, "news") == SendResult::ok);
    client.peer.expect_text("news");
}
END_TEST

START_TEST(pauses_behind_a_large_message_that_was_received_in_place) {
    Service service;
    Client client =
        service.connect({.on_message = [](ConnectionId, Message) { return Flow::pause; }});
    client.peer.send(masked(Opcode::binary, std::string(1'000'000, 'x')));
    client.peer.send_text("behind");
    client.await_messages(1);
    ck_assert(service.send(client.id, "mark") == SendResult::ok);
    client.peer.expect_text("mark");
    ck_assert_uint_eq(client.record->get().messages.size(), 1);
    service.engine().resume(client.id);
    ck_assert(client.await_messages(2)[1] == "behind");
}
END_TEST

START_TEST(resuming_inside_of_the_message_that_pauses_is_not_lost) {
    Service service;
    Client client = service.connect({.on_message = [&](ConnectionId id, Message) {
        service.engine().resume(id);
        return Flow::pause;
    }});
    std::string input;
    for (int i = 0; i < 100; ++i) input += masked(Opcode::text, std::to_string(i));
    client.peer.send(input);
    const auto messages = client.await_messages(100);
    for (std::size_t i = 0; i < 100; ++i) {
        ck_assert(messages[i] == std::to_string(i));
    }
}
END_TEST

/// The bytes of a frame that another thread may not send any more, because a Close went first,
/// must not count as queued indefinitely.
START_TEST(sends_that_lose_against_a_close_do_not_stop_the_reading) {
    Service service;
    service.options.send_buffer = 1000;
    for (int round = 0; round < 50; ++round) {
        Client client = service.connect(service.echo());
        client.await_open();
        std::vector<std::thread> senders;
        for (int i = 0; i < 2; ++i) {
            senders.emplace_back([&] {
                while (service.send(client.id, std::string(5000, 's')) != SendResult::closing) {
                }
            });
        }
        std::thread reader([&] { client.peer.read_to_end(); });
        service.close(client.id, 1000);
        for (std::thread& sender : senders) sender.join();
        client.peer.send(masked(Opcode::text, "1") + masked(Opcode::text, "2"));
        client.peer.send_close(1000);
        client.expect_closed(1000, false);
        reader.join();
    }
}
END_TEST

WEBSOCKET_TEST_SUITE(connection_backpressure) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests,
                   a_peer_that_does_not_read_is_read_from_no_further_and_served_when_it_does);
    tcase_add_test(tests, messages_keep_their_order_when_reading_goes_on_after_a_slow_write);
    tcase_add_test(tests, a_flood_of_pings_to_a_peer_that_does_not_read_is_not_kept);
    tcase_add_test(tests, a_paused_session_gets_nothing_until_it_resumes_and_then_all_in_order);
    tcase_add_test(tests, a_paused_connection_does_not_read_its_socket);
    tcase_add_test(tests, a_paused_connection_still_sends);
    tcase_add_test(tests, pauses_behind_a_large_message_that_was_received_in_place);
    tcase_add_test(tests, resuming_inside_of_the_message_that_pauses_is_not_lost);
    tcase_add_test(tests, sends_that_lose_against_a_close_do_not_stop_the_reading);
}
