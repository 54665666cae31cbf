// SPDX-License-Identifier: Apache-2.0
#include "net/socket_transport.hpp"

#include <fcntl.h>

#include <array>
#include <csignal>
#include <string>

#include "engine/peer.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::net::IoResult;
using websocket::net::IoStatus;
using websocket::net::SocketTransport;

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

    SocketTransport transport;
    Peer peer;
};

}  // namespace

START_TEST(a_socket_never_blocks) {
    PlainEnds ends;
    ck_assert(::fcntl(ends.transport.descriptor(), F_GETFL) & O_NONBLOCK);
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
    { const SocketTransport transport(std::move(sockets.server)); }
    peer.expect_end();
}
END_TEST

WEBSOCKET_TEST_SUITE(socket_transport) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, a_socket_never_blocks);
    tcase_add_test(tests, reads_what_there_is_and_then_the_end);
    tcase_add_test(tests, gathers_one_write_from_many_parts);
    tcase_add_test(tests, reading_goes_on_when_our_side_is_shut);
    tcase_add_test(tests, a_dead_peer_is_a_failure_and_no_signal);
    tcase_add_test(tests, closes_the_socket_with_itself);
}
