// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "net/any_transport.hpp"

#include <fcntl.h>

#include <array>
#include <csignal>
#include <string>

#include "engine/peer.hpp"
#include "engine/scripted_transport.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::net::AnyTransport;
using websocket::net::Delivery;
using websocket::net::IoResult;
using websocket::net::IoStatus;

namespace {

struct PlainEnds {
    explicit PlainEnds(SocketPair sockets = tcp_pair())
        : transport(std::move(sockets.server)), peer(std::move(sockets.client)) {}

    void await_readable() const {
        pollfd poll{transport.descriptor(), POLLIN, 0};
        ck_assert_int_eq(::poll(&poll, 1, 20'000), 1);
    }
    IoResult write(std::string& bytes) {
        const iovec part{bytes.data(), bytes.size()};
        return transport.write({&part, 1});
    }

    AnyTransport transport;
    Peer peer;
};

}  // namespace

START_TEST(a_socket_that_blocks_never_blocks_here) {
    PlainEnds ends;
    ck_assert(!(::fcntl(ends.transport.descriptor(), F_GETFL) & O_NONBLOCK));
    std::array<std::uint8_t, 10> buffer;
    ck_assert(ends.transport.read(buffer).status == IoStatus::would_block);
    std::string much(1'000'000, 'x');
    IoResult last{};
    while ((last = ends.write(much)).status == IoStatus::done) {
    }
    ck_assert(last.status == IoStatus::would_block);
}
END_TEST

START_TEST(reads_what_there_is_and_then_the_end) {
    PlainEnds ends;
    ends.peer.send("hello");
    ends.peer.shut_down();
    ends.await_readable();
    std::array<std::uint8_t, 3> buffer;
    IoResult result = ends.transport.read(buffer);
    ck_assert(result.status == IoStatus::done && result.count == 3);
    result = ends.transport.read(buffer);
    ck_assert(result.status == IoStatus::done && result.count == 2);
    ck_assert(buffer[0] == 'l' && buffer[1] == 'o');
    ends.await_readable();
    ck_assert(ends.transport.read(buffer).status == IoStatus::closed);
}
END_TEST

START_TEST(gathers_one_write_from_many_parts) {
    PlainEnds ends;
    std::string first = "one";
    std::string second = "two";
    const std::array<iovec, 2> parts{iovec{first.data(), 3}, iovec{second.data(), 3}};
    const IoResult result = ends.transport.write(parts);
    ck_assert(result.status == IoStatus::done && result.count == 6);
    ck_assert(ends.transport.shutdown_write());
    std::array<char, 10> got;
    ck_assert_int_eq(::recv(ends.peer.descriptor(), got.data(), got.size(), MSG_WAITALL), 6);
    ck_assert(std::string(got.data(), 6) == "onetwo");
}
END_TEST

START_TEST(reading_goes_on_when_our_side_is_shut) {
    PlainEnds ends;
    ck_assert(ends.transport.shutdown_write());
    ends.peer.expect_end();
    ends.peer.send("still");
    ends.await_readable();
    std::array<std::uint8_t, 10> buffer;
    ck_assert_uint_eq(ends.transport.read(buffer).count, 5);
}
END_TEST

START_TEST(a_dead_peer_is_a_failure_and_no_signal) {
    ::signal(SIGPIPE, SIG_DFL);
    PlainEnds ends;
    ends.peer.reset();
    ends.await_readable();
    std::array<std::uint8_t, 10> buffer;
    ck_assert(ends.transport.read(buffer).status == IoStatus::failed);
    std::string bytes = "x";
    ck_assert(ends.write(bytes).status == IoStatus::failed);
    const std::array<iovec, 2> parts{iovec{bytes.data(), 1}, iovec{bytes.data(), 1}};
    ck_assert(ends.transport.write(parts).status == IoStatus::failed);
}
END_TEST

START_TEST(closes_the_socket_with_itself) {
    SocketPair sockets = tcp_pair();
    Peer peer(std::move(sockets.client));
    { const AnyTransport transport(std::move(sockets.server)); }
    peer.expect_end();
}
END_TEST

START_TEST(the_last_bytes_come_before_the_end) {
    PlainEnds ends;
    std::string first = "by";
    std::string second = "e";
    const std::array<iovec, 2> parts{iovec{first.data(), 2}, iovec{second.data(), 1}};
    const IoResult result = ends.transport.write_last(parts);
    ck_assert(result.status == IoStatus::done && result.count == 3);
    ck_assert(ends.transport.shutdown_write());
    std::array<char, 10> got;
    ck_assert_int_eq(::recv(ends.peer.descriptor(), got.data(), got.size(), MSG_WAITALL), 3);
    ck_assert(std::string(got.data(), 3) == "bye");
    ends.peer.expect_end();
}
END_TEST

START_TEST(knows_what_the_peers_system_has_taken) {
    SocketPair sockets = tcp_pair();
    const Peer peer(std::move(sockets.client));
    AnyTransport transport(std::move(sockets.server));
    const Delivery before = transport.delivery();
    ck_assert_uint_eq(before.untaken, 0);
    std::string bytes(100, 'x');
    const iovec slot{bytes.data(), bytes.size()};
    ck_assert_uint_eq(transport.write({&slot, 1}).count, 100);
    await_quietly([&] { return transport.delivery().untaken == 0; }, "the acknowledgement");
    ck_assert_uint_eq(transport.delivery().taken - before.taken, 100);
}
END_TEST

START_TEST(what_is_no_socket_does_it_all_itself_and_is_destroyed_once) {
    SocketPair sockets = tcp_pair();
    const int socket = sockets.server.get();
    Peer peer(std::move(sockets.client));
    auto script = std::make_shared<Script>();
    script->on_delivery([](std::size_t /*call*/) { return Delivery{7, 0}; });
    script->hide_readiness();
    {
        AnyTransport transport(
            std::make_unique<ScriptedTransport>(std::move(sockets.server), script));
        ck_assert_int_eq(transport.descriptor(), socket);
        ck_assert_uint_eq(transport.delivery().untaken, 7);
        ck_assert_uint_eq(transport.poll_events(true, true), 0);
        std::array<std::uint8_t, 1> buffer;
        ck_assert(transport.read(buffer).status == IoStatus::would_block);
        std::string bytes = "x";
        const iovec part{bytes.data(), 1};
        ck_assert(transport.write({&part, 1}).status == IoStatus::done);
        ck_assert(script->reads() == 1 && script->writes() == 1);
        ck_assert_int_eq(script.use_count(), 2);
        ck_assert(transport.shutdown_write());
    }
    ck_assert_int_eq(script.use_count(), 1);
    char got = 0;
    ck_assert_int_eq(::recv(peer.descriptor(), &got, 1, MSG_WAITALL), 1);
    peer.expect_end();
}
END_TEST

START_TEST(is_moved_with_what_it_owns) {
    SocketPair sockets = tcp_pair();
    const int socket = sockets.server.get();
    Peer peer(std::move(sockets.client));
    {
        AnyTransport first(std::move(sockets.server));
        AnyTransport second(std::move(first));
        AnyTransport third;
        third = std::move(second);
        ck_assert_int_eq(third.descriptor(), socket);
        ck_assert_uint_eq(third.poll_events(true, false), EPOLLIN);
        ck_assert(!third.pending());
        peer.send("there");
        pollfd poll{socket, POLLIN, 0};
        ck_assert_int_eq(::poll(&poll, 1, 20'000), 1);
        std::array<std::uint8_t, 10> buffer;
        ck_assert_uint_eq(third.read(buffer).count, 5);
    }
    peer.expect_end();
}
END_TEST

WEBSOCKET_TEST_SUITE(any_transport) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, a_socket_that_blocks_never_blocks_here);
    tcase_add_test(tests, reads_what_there_is_and_then_the_end);
    tcase_add_test(tests, gathers_one_write_from_many_parts);
    tcase_add_test(tests, reading_goes_on_when_our_side_is_shut);
    tcase_add_test(tests, a_dead_peer_is_a_failure_and_no_signal);
    tcase_add_test(tests, closes_the_socket_with_itself);
    tcase_add_test(tests, the_last_bytes_come_before_the_end);
    tcase_add_test(tests, knows_what_the_peers_system_has_taken);
    tcase_add_test(tests, what_is_no_socket_does_it_all_itself_and_is_destroyed_once);
    tcase_add_test(tests, is_moved_with_what_it_owns);
}
