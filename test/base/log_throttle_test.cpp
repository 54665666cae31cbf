// SPDX-License-Identifier: Apache-2.0
#include "base/log_throttle.hpp"

#include <atomic>
#include <thread>
#include <vector>

#include "unit.hpp"

using namespace std::chrono_literals;
using websocket::base::LogThrottle;
using Due = LogThrottle::Due;

namespace {

constexpr LogThrottle::Clock::time_point kStart{1000s};

}  // namespace

START_TEST(the_first_line_is_written) {
    LogThrottle line;
    const auto left_out = line.permit(kStart);
    ck_assert(left_out && *left_out == 0);
}
END_TEST

START_TEST(one_line_a_second_tells_of_those_before_it) {
    LogThrottle line;
    ck_assert(line.permit(kStart).has_value());
    for (int i = 0; i < 5; ++i) ck_assert(!line.permit(kStart + 999ms));
    const auto left_out = line.permit(kStart + 1s);
    ck_assert(left_out && *left_out == 5);
    ck_assert(!line.permit(kStart + 1999ms));
    ck_assert_uint_eq(line.permit(kStart + 10s).value(), 1);
    ck_assert_uint_eq(line.permit(kStart + 20s).value(), 0);
}
END_TEST

START_TEST(a_burst_is_written_and_comes_back_one_a_second) {
    LogThrottle line(3);
    for (int i = 0; i < 3; ++i) ck_assert(line.permit(kStart).has_value());
    ck_assert(!line.permit(kStart).has_value());
    ck_assert_uint_eq(line.permit(kStart + 1s).value(), 1);
    ck_assert(!line.permit(kStart + 1s).has_value());
    ck_assert(line.permit(kStart + 3s).has_value());
    ck_assert(line.permit(kStart + 3s).has_value());
    ck_assert(!line.permit(kStart + 3s).has_value());
    for (int i = 0; i < 3; ++i) ck_assert(line.permit(kStart + 100s).has_value());
    ck_assert(!line.permit(kStart + 100s).has_value());
}
END_TEST

START_TEST(what_was_left_out_is_said_once_when_it_is_time) {
    LogThrottle line;
    ck_assert(!line.owes());
    ck_assert_uint_eq(line.overdue(Due::now, kStart), 0);
    ck_assert(line.permit(kStart).has_value());
    for (int i = 0; i < 7; ++i) ck_assert(!line.permit(kStart));
    ck_assert(line.owes());
    ck_assert_uint_eq(line.overdue(Due::now, kStart + 999ms), 0);
    ck_assert_uint_eq(line.overdue(Due::now, kStart + 1s), 7);
    ck_assert(!line.owes());
    ck_assert_uint_eq(line.overdue(Due::now, kStart + 5s), 0);
    ck_assert(line.permit(kStart + 5s).has_value());
}
END_TEST

START_TEST(a_number_that_was_said_is_a_line_as_well) {
    LogThrottle line;
    ck_assert(line.permit(kStart).has_value());
    ck_assert(!line.permit(kStart).has_value());
    ck_assert_uint_eq(line.overdue(Due::now, kStart + 1s), 1);
    ck_assert(!line.permit(kStart + 1s).has_value());
}
END_TEST

START_TEST(at_the_end_a_number_need_not_wait) {
    LogThrottle line;
    ck_assert(line.permit(kStart).has_value());
    ck_assert(!line.permit(kStart).has_value());
    ck_assert_uint_eq(line.overdue(Due::all, kStart), 1);
    ck_assert_uint_eq(line.overdue(Due::all, kStart), 0);
}
END_TEST

START_TEST(of_many_threads_one_writes_and_none_is_forgotten) {
    LogThrottle line;
    std::atomic<unsigned> written{0};
    std::vector<std::thread> threads;
    for (int n = 0; n < 4; ++n) {
        threads.emplace_back([&] {
            for (int i = 0; i < 10'000; ++i) written += line.permit(kStart) ? 1U : 0U;
        });
    }
    for (std::thread& thread : threads) thread.join();
    ck_assert_uint_eq(written, 1);
    ck_assert_uint_eq(line.permit(kStart + 1s).value(), 39'999);
}
END_TEST

WEBSOCKET_TEST_SUITE(log_throttle) {
    tcase_add_test(tests, the_first_line_is_written);
    tcase_add_test(tests, one_line_a_second_tells_of_those_before_it);
    tcase_add_test(tests, a_burst_is_written_and_comes_back_one_a_second);
    tcase_add_test(tests, what_was_left_out_is_said_once_when_it_is_time);
    tcase_add_test(tests, a_number_that_was_said_is_a_line_as_well);
    tcase_add_test(tests, at_the_end_a_number_need_not_wait);
    tcase_add_test(tests, of_many_threads_one_writes_and_none_is_forgotten);
}
