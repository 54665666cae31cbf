// SPDX-License-Identifier: Apache-2.0
#include "hub/drops.hpp"

#include <thread>
#include <vector>

#include "engine/service.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::hub::Drop;
using websocket::hub::Drops;

START_TEST(logs_the_first_loss_and_counts_the_next) {
    RecordingLog log;
    Drops losses(log);
    ck_assert(!losses.report());
    ck_assert(!losses.count(Drop::busy_loop, 0));
    ck_assert(!losses.count(Drop::busy_loop));
    ck_assert(losses.count(Drop::busy_loop));
    ck_assert(losses.count(Drop::busy_loop, 5));
    ck_assert(losses.report());
    ck_assert_uint_eq(log.count("WS0504: 1 published messages (1 so far)"), 1);
    ck_assert_uint_eq(log.count("WS"), 1);
    ck_assert_uint_eq(losses.total(Drop::busy_loop), 7);
    ck_assert_uint_eq(losses.total(Drop::slow_subscriber), 0);
}
END_TEST

START_TEST(others_see_the_sum_of_all_kinds) {
    RecordingLog log;
    std::array<websocket::hub::TopicCounts::Count, 4> counts{};
    websocket::hub::TopicCounts shown{counts[0], counts[1], counts[2], counts[3]};
    Drops losses(log, &shown);
    static_cast<void>(losses.count(Drop::slow_subscriber, 3));
    static_cast<void>(losses.count(Drop::busy_process));
    ck_assert_int_eq(shown.dropped.load(), 4);
}
END_TEST

START_TEST(each_kind_has_its_own_line) {
    RecordingLog log;
    Drops losses(log);
    static_cast<void>(losses.count(Drop::slow_subscriber));
    static_cast<void>(losses.count(Drop::busy_process));
    static_cast<void>(losses.count(Drop::no_resources));
    for (const char* id : {"WS0503", "WS0505", "WS0506"}) ck_assert_uint_eq(log.count(id), 1);
}
END_TEST

START_TEST(calls_limits_by_the_names_that_it_was_given) {
    RecordingLog log;
    Drops losses(log, nullptr, {.send_buffer = "SendBuffer", .topic_buffer = "TopicBuffer"});
    for (const Drop drop :
         {Drop::slow_subscriber, Drop::busy_loop, Drop::busy_process, Drop::no_resources}) {
        static_cast<void>(losses.count(drop));
    }
    for (
        const char* line :
        {"WS0503: 1 published messages (1 so far) did not fit the SendBuffer of a slow subscriber",
         "WS0504: 1 published messages (1 so far) did not fit the TopicBuffer of a busy event loop",
         "WS0505: 1 published messages (1 so far) did not fit the TopicBuffer of another child",
         "WS0506: 1 published messages (1 so far) were lost because memory, descriptors or threads "
         "ran out, or because a child was not reachable"}) {
        ck_assert_msg(log.count(line) == 1, "%s", line);
    }
}
END_TEST

START_TEST(says_the_rest_a_second_later) {
    RecordingLog log;
    Drops losses(log);
    static_cast<void>(losses.count(Drop::slow_subscriber, 3));
    ck_assert(losses.count(Drop::slow_subscriber, 4));
    await_quietly([&] { return !losses.report(); }, "the next line");
    ck_assert_uint_eq(log.count("WS0503: 4 published messages (7 so far)"), 1);
}
END_TEST

START_TEST(threads_that_count_at_once_write_one_line) {
    RecordingLog log;
    Drops losses(log);
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back([&] { static_cast<void>(losses.count(Drop::busy_process)); });
    }
    for (std::thread& thread : threads) thread.join();
    ck_assert_uint_eq(losses.total(Drop::busy_process), 8);
    ck_assert_uint_eq(log.count("WS0505"), 1);
}
END_TEST

WEBSOCKET_TEST_SUITE(drops) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, logs_the_first_loss_and_counts_the_next);
    tcase_add_test(tests, others_see_the_sum_of_all_kinds);
    tcase_add_test(tests, each_kind_has_its_own_line);
    tcase_add_test(tests, calls_limits_by_the_names_that_it_was_given);
    tcase_add_test(tests, says_the_rest_a_second_later);
    tcase_add_test(tests, threads_that_count_at_once_write_one_line);
}
