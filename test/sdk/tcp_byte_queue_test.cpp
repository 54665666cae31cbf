// SPDX-License-Identifier: Apache-2.0
#include "../../plugins/tcp_byte_queue.hpp"

#include <string>

#include "unit.hpp"

using tcp::ByteQueue;

START_TEST(bytes_come_out_in_the_order_in_which_they_went_in) {
    ByteQueue queue;
    std::string in;
    std::string out;
    for (std::size_t turn = 1; turn < 200; ++turn) {
        const std::string some(turn, static_cast<char>('a' + turn % 26));
        queue.append(some);
        in += some;
        const std::size_t count = turn * 7 % (queue.size() + 1);
        out += queue.front().substr(0, count);
        queue.consume(count);
        ck_assert_uint_eq(queue.size(), in.size() - out.size());
    }
    out += queue.front();
    queue.consume(queue.size());
    ck_assert(queue.empty());
    ck_assert(out == in);
}
END_TEST

START_TEST(a_queue_is_empty_once_it_is_cleared) {
    ByteQueue queue;
    queue.append("abc");
    queue.consume(1);
    queue.clear();
    ck_assert(queue.empty());
    ck_assert(queue.front().empty());
    queue.append("d");
    ck_assert(queue.front() == "d");
}
END_TEST

WEBSOCKET_TEST_SUITE(tcp_byte_queue) {
    tcase_add_test(tests, bytes_come_out_in_the_order_in_which_they_went_in);
    tcase_add_test(tests, a_queue_is_empty_once_it_is_cleared);
}
