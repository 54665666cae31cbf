// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "net/socket_queue.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <string>

#include "unit.hpp"

namespace {

using websocket::base::Descriptor;
using websocket::net::SocketQueue;

/// Both ends of a connection.
struct Connection {
    Connection() {
        std::array<int, 2> both{};
        ck_assert_int_eq(::socketpair(AF_UNIX, SOCK_STREAM, 0, both.data()), 0);
        here = Descriptor(both[0]);
        there = Descriptor(both[1]);
    }
    Descriptor here;
    Descriptor there;
};

std::string read_from(int socket) {
    std::array<char, 100> bytes{};
    const ssize_t size = ::read(socket, bytes.data(), bytes.size());
    return size > 0 ? std::string(bytes.data(), static_cast<std::size_t>(size)) : std::string();
}

bool is_readable(int descriptor) {
    pollfd watched{descriptor, POLLIN, 0};
    return ::poll(&watched, 1, 0) == 1;
}

int open_descriptors() {
    int count = 0;
    for (int fd = 0; fd < 1000; ++fd) {
        count += ::fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
    }
    return count;
}

}  // namespace

START_TEST(a_socket_that_was_put_in_comes_out_with_its_unread_bytes) {
    const SocketQueue queue;
    Connection connection;
    ck_assert_int_eq(::write(connection.there.get(), "hello", 5), 5);
    const auto before = SocketQueue::Clock::now();
    ck_assert(queue.put(connection.here.get()));
    connection.here = Descriptor();
    ck_assert(is_readable(queue.descriptor()));
    const auto item = queue.take();
    ck_assert(item && item->put_in >= before && item->first_put_in == item->put_in);
    ck_assert(read_from(item->socket.get()) == "hello");
    ck_assert_int_ne(::fcntl(item->socket.get(), F_GETFD) & FD_CLOEXEC, 0);
    ck_assert(!is_readable(queue.descriptor()));
}
END_TEST

START_TEST(one_that_is_put_in_again_keeps_the_time_of_the_first) {
    const SocketQueue queue;
    const Connection connection;
    ck_assert(queue.put(connection.here.get()));
    const auto first = queue.take();
    ck_assert(first && queue.put_again(*first));
    const auto second = queue.take();
    ck_assert(second && second->first_put_in == first->put_in && second->put_in >= first->put_in);
}
END_TEST

START_TEST(an_empty_queue_gives_nothing) {
    const SocketQueue queue;
    ck_assert(!queue.take());
    ck_assert(!queue.oldest());
}
END_TEST

START_TEST(what_is_no_descriptor_is_refused) {
    const SocketQueue queue;
    ck_assert(!queue.put(-1));
    ck_assert(!queue.put(999));
    ck_assert(!queue.take());
}
END_TEST

START_TEST(looking_at_the_oldest_leaves_it_there_and_no_descriptor_behind) {
    const SocketQueue queue;
    const Connection connection;
    ck_assert(queue.put(connection.here.get()));
    const int before = open_descriptors();
    for (int i = 0; i < 10; ++i) {
        ck_assert(queue.oldest());
    }
    ck_assert_int_eq(open_descriptors(), before);
    ck_assert(queue.take());
}
END_TEST

START_TEST(a_full_queue_refuses_and_loses_nothing) {
    const SocketQueue queue;
    const Connection connection;
    int put = 0;
    while (put < 100000 && queue.put(connection.here.get())) {
        ++put;
    }
    ck_assert_int_gt(put, 100);
    ck_assert_int_lt(put, 100000);
    int taken = 0;
    while (queue.take()) {
        ++taken;
    }
    ck_assert_int_eq(taken, put);
}
END_TEST

START_TEST(another_process_takes_it) {
    const SocketQueue queue;
    Connection connection;
    ck_assert(queue.put(connection.here.get()));
    connection.here = Descriptor();
    const pid_t child = ::fork();
    if (child == 0) {
        const auto item = queue.take();
        ::_exit(item && ::write(item->socket.get(), "child", 5) == 5 ? 0 : 1);
    }
    int status = -1;
    ck_assert_int_eq(::waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert(read_from(connection.there.get()) == "child");
    ck_assert(read_from(connection.there.get()) == "");  // it has ended with its socket
}
END_TEST

START_TEST(what_nobody_takes_is_closed_with_the_queue) {
    Connection connection;
    {
        const SocketQueue queue;
        ck_assert(queue.put(connection.here.get()));
        connection.here = Descriptor();
        ck_assert(!is_readable(connection.there.get()));
    }
    ck_assert(read_from(connection.there.get()) == "");
}
END_TEST

WEBSOCKET_TEST_SUITE(socket_queue) {
    tcase_add_test(tests, a_socket_that_was_put_in_comes_out_with_its_unread_bytes);
    tcase_add_test(tests, one_that_is_put_in_again_keeps_the_time_of_the_first);
    tcase_add_test(tests, an_empty_queue_gives_nothing);
    tcase_add_test(tests, what_is_no_descriptor_is_refused);
    tcase_add_test(tests, looking_at_the_oldest_leaves_it_there_and_no_descriptor_behind);
    tcase_add_test(tests, a_full_queue_refuses_and_loses_nothing);
    tcase_add_test(tests, another_process_takes_it);
    tcase_add_test(tests, what_nobody_takes_is_closed_with_the_queue);
}
