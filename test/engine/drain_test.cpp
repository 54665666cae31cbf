// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "engine/drain.hpp"

#include <algorithm>
#include <vector>

#include "engine/awaiting.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::engine::DrainSchedule;

namespace {

/// When each of so many is told, looking at every millisecond.
std::vector<int> times(int start, int deadline, std::size_t connections) {
    const DrainSchedule schedule(std::chrono::milliseconds{start},
                                 std::chrono::milliseconds{deadline}, connections);
    std::vector<int> told;
    for (int now = start; now <= deadline && told.size() < connections; ++now) {
        const std::size_t due = schedule.due(std::chrono::milliseconds{now});
        while (told.size() < std::min(due, connections)) told.push_back(now);
    }
    return told;
}

}  // namespace

START_TEST(tells_all_of_them_with_a_reserve_before_the_deadline) {
    for (const std::size_t count : {1U, 2U, 3U, 10U, 999U, 100'000U}) {
        const std::vector<int> told = times(500, 30'500, count);
        ck_assert_uint_eq(told.size(), count);
        ck_assert_int_le(told.back(), 29'500);
        ck_assert_int_ge(told.front(), 500);
    }
}
END_TEST

START_TEST(the_reserve_of_a_short_drain_is_a_quarter) {
    const DrainSchedule schedule(0ms, 400ms, 10);
    ck_assert(!schedule.spread_over(299ms));
    ck_assert(schedule.spread_over(300ms));
    ck_assert(!schedule.over(399ms));
    ck_assert(schedule.over(400ms));
}
END_TEST

START_TEST(spreads_them_evenly) {
    const std::vector<int> told = times(0, 21'000, 1000);  // one every 20 ms
    for (std::size_t i = 1; i < told.size(); ++i) {
        const int gap = told.at(i) - told.at(i - 1);
        ck_assert_int_ge(gap, 19);
        ck_assert_int_le(gap, 21);
    }
}
END_TEST

START_TEST(a_single_one_is_told_in_the_middle) {
    const std::vector<int> told = times(0, 5000, 1);
    ck_assert_int_eq(told.front(), 2000);
}
END_TEST

START_TEST(knows_when_the_next_one_is_due) {
    const DrainSchedule schedule(100ms, 12'100ms, 7);
    std::size_t told = 0;
    auto now = 100ms;
    while (told < 7) {
        const auto next = schedule.next(told);
        ck_assert(next > now);
        ck_assert_uint_eq(schedule.due(next - 1ms), told);
        ck_assert_uint_eq(schedule.due(next), ++told);
        now = std::chrono::duration_cast<std::chrono::milliseconds>(next);
    }
    ck_assert(schedule.next(7) == 11'100ms);
}
END_TEST

START_TEST(one_that_comes_late_has_a_turn) {
    DrainSchedule schedule(0ms, 8000ms, 0);
    schedule.add();
    ck_assert(schedule.next(0) == 3500ms);
    schedule.add();
    ck_assert_uint_eq(schedule.due(1749ms), 0);
    ck_assert_uint_eq(schedule.due(1750ms), 1);
    ck_assert_uint_eq(schedule.due(5250ms), 2);
}
END_TEST

START_TEST(all_are_due_when_there_is_no_time) {
    for (const auto deadline : {1000ms, 0ms}) {
        const DrainSchedule schedule(1000ms, deadline, 1000);
        ck_assert_uint_ge(schedule.due(1000ms), 1000);
        ck_assert(schedule.over(1000ms));
    }
}
END_TEST

START_TEST(a_drain_of_nobody_ends_like_any_other) {
    const DrainSchedule schedule(0ms, 1000ms, 0);
    ck_assert_uint_eq(schedule.due(0ms), 0);
    ck_assert(schedule.next(0) == 750ms);
}
END_TEST

WEBSOCKET_TEST_SUITE(drain) {
    tcase_add_test(tests, tells_all_of_them_with_a_reserve_before_the_deadline);
    tcase_add_test(tests, the_reserve_of_a_short_drain_is_a_quarter);
    tcase_add_test(tests, spreads_them_evenly);
    tcase_add_test(tests, a_single_one_is_told_in_the_middle);
    tcase_add_test(tests, knows_when_the_next_one_is_due);
    tcase_add_test(tests, one_that_comes_late_has_a_turn);
    tcase_add_test(tests, all_are_due_when_there_is_no_time);
    tcase_add_test(tests, a_drain_of_nobody_ends_like_any_other);
}
