// SPDX-License-Identifier: Apache-2.0
#include "httpd/takeover/held_sockets.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <thread>

#include "base/descriptor.hpp"
#include "unit.hpp"

using websocket::base::Descriptor;
using websocket::httpd::HeldSockets;

namespace {

struct Pair {
    Descriptor server;
    Descriptor client;

    Pair() {
        std::array<int, 2> ends{};
        ck_assert_int_eq(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
        server = Descriptor(ends[0]);
        client = Descriptor(ends[1]);
    }
    [[nodiscard]] bool client_sees_the_end() const {
        char byte = 0;
        return ::recv(client.get(), &byte, 1, MSG_DONTWAIT) == 0;
    }
};

bool enough(int /*fd*/) { return true; }
bool too_few(int /*fd*/) { return false; }

HeldSockets::Hold& hold(HeldSockets& sockets, const Pair& pair) {
    HeldSockets::Hold* held = sockets.hold(pair.server.get(), enough);
    ck_assert_ptr_nonnull(held);
    return *held;
}

}  // namespace

START_TEST(ends_each_socket_it_holds_once) {
    HeldSockets sockets;
    const std::array<Pair, 3> pairs;
    for (const Pair& pair : pairs) hold(sockets, pair);
    ck_assert_uint_eq(sockets.shut_down(), 3);
    for (const Pair& pair : pairs) ck_assert(pair.client_sees_the_end());
    ck_assert_uint_eq(sockets.shut_down(), 0);
}
END_TEST

START_TEST(leaves_alone_what_was_let_go_and_what_has_got_its_number) {
    HeldSockets sockets;
    Pair pair;
    HeldSockets::Hold& held = hold(sockets, pair);
    HeldSockets::let_go(held);
    ck_assert_uint_eq(sockets.shut_down(), 0);
    ck_assert(!pair.client_sees_the_end());
    pair.server = Descriptor();
    ck_assert(pair.client_sees_the_end());  // no duplicate is left
    const Pair other;
    ck_assert_ptr_eq(&hold(sockets, other), &held);  // used again
    ck_assert_uint_eq(sockets.shut_down(), 1);
}
END_TEST

START_TEST(ends_the_connection_although_httpd_has_closed_its_descriptor) {
    HeldSockets sockets;
    Pair pair;
    hold(sockets, pair);
    pair.server = Descriptor();
    ck_assert(!pair.client_sees_the_end());
    const Pair newcomer;  // whose descriptor has that number now
    ck_assert_uint_eq(sockets.shut_down(), 1);
    ck_assert(pair.client_sees_the_end());
    ck_assert(!newcomer.client_sees_the_end());
}
END_TEST

START_TEST(holds_nothing_without_descriptors) {
    HeldSockets sockets;
    const Pair pair;
    ck_assert_ptr_null(sockets.hold(pair.server.get(), too_few));
    ck_assert_ptr_null(sockets.hold(-1, enough));
    ck_assert_uint_eq(sockets.shut_down(), 0);
}
END_TEST

START_TEST(connections_may_end_while_they_are_ended) {
    HeldSockets sockets;
    std::atomic<bool> done{false};
    std::thread watcher([&] {
        while (!done) static_cast<void>(sockets.shut_down());
    });
    for (int i = 0; i < 2000; ++i) {
        const Pair pair;
        HeldSockets::let_go(hold(sockets, pair));
    }
    done = true;
    watcher.join();
    ck_assert_uint_eq(sockets.shut_down(), 0);
}
END_TEST

WEBSOCKET_TEST_SUITE(held_sockets) {
    tcase_add_test(tests, ends_each_socket_it_holds_once);
    tcase_add_test(tests, leaves_alone_what_was_let_go_and_what_has_got_its_number);
    tcase_add_test(tests, ends_the_connection_although_httpd_has_closed_its_descriptor);
    tcase_add_test(tests, holds_nothing_without_descriptors);
    tcase_add_test(tests, connections_may_end_while_they_are_ended);
}
