// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "bridge/outgoing_queue.hpp"

#include <chrono>
#include <string>
#include <vector>

#include "unit.hpp"

using namespace std::chrono_literals;
using websocket::bridge::OutgoingQueue;

namespace {

OutgoingQueue::Item item(std::uint64_t sequence, std::size_t size,
                         std::chrono::milliseconds since = 0ms) {
    const std::vector<std::uint8_t> payload(size);
    return {"channel", sequence,
            websocket::engine::SharedFrame::build(websocket::protocol::Opcode::text, payload),
            since};
}

}  // namespace

START_TEST(what_is_too_much_costs_the_oldest) {
    OutgoingQueue queue(10 * (OutgoingQueue::kCost + 120), 10s);
    std::size_t dropped = 0;
    for (std::uint64_t i = 0; i < 100; ++i) {
        dropped += queue.push(item(i, 100));
        ck_assert_uint_le(queue.bytes(), 10 * (OutgoingQueue::kCost + 120));
    }
    std::size_t left = 0;
    for (std::uint64_t next = dropped; !queue.empty(); queue.pop()) {
        ck_assert_uint_eq(queue.front().sequence, next++);
        ++left;
    }
    ck_assert_uint_eq(dropped + left, 100);
    ck_assert_uint_ge(left, 9);
    ck_assert_uint_eq(queue.bytes(), 0);
}
END_TEST

START_TEST(one_that_is_larger_than_all_is_taken_alone) {
    OutgoingQueue queue(1000, 10s);
    ck_assert_uint_eq(queue.push(item(1, 10)), 0);
    ck_assert_uint_eq(queue.push(item(2, 100'000)), 1);
    ck_assert_uint_eq(queue.front().sequence, 2);
    ck_assert_uint_eq(queue.push(item(3, 10)), 1);
    ck_assert_uint_eq(queue.front().sequence, 3);
}
END_TEST

START_TEST(what_has_waited_too_long_is_dropped) {
    OutgoingQueue queue(1U << 20, 10s);
    for (const auto since : {0ms, 1ms, 5000ms}) {
        ck_assert_uint_eq(queue.push(item(1, 1, since)), 0);
    }
    ck_assert_uint_eq(queue.expire(10'000ms), 0);
    ck_assert_uint_eq(queue.expire(10'002ms), 2);
    ck_assert_uint_eq(queue.expire(16'000ms), 1);
    ck_assert(queue.empty());
}
END_TEST

WEBSOCKET_TEST_SUITE(outgoing_queue) {
    tcase_add_test(tests, what_is_too_much_costs_the_oldest);
    tcase_add_test(tests, one_that_is_larger_than_all_is_taken_alone);
    tcase_add_test(tests, what_has_waited_too_long_is_dropped);
}
