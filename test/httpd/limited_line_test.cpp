// SPDX-License-Identifier: Apache-2.0
#include "httpd/limited_line.hpp"

#include <atomic>
#include <thread>
#include <vector>

#include "unit.hpp"

using namespace std::chrono_literals;
using websocket::httpd::LimitedLine;

namespace {

constexpr LimitedLine::Clock::time_point kStart{1000s};

}  // namespace

START_TEST(the_first_line_is_written) {
    LimitedLine line;
    const auto suppressed = line.permit(kStart);
    ck_assert(suppressed && *suppressed == 0);
}
END_TEST

START_TEST(one_line_a_second_tells_of_those_before_it) {
    LimitedLine line;
    ck_assert(line.permit(kStart).has_value());
    for (int i = 0; i < 5; ++i) ck_assert(!line.permit(kStart + 999ms));
    const auto suppressed = line.permit(kStart + 1s);
    ck_assert(suppressed && *suppressed == 5);
    ck_assert(!line.permit(kStart + 1999ms));
    ck_assert_uint_eq(line.permit(kStart + 10s).value(), 1);
    ck_assert_uint_eq(line.permit(kStart + 20s).value(), 0);
}
END_TEST

START_TEST(of_many_threads_one_writes_and_none_is_forgotten) {
    LimitedLine line;
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

WEBSOCKET_TEST_SUITE(limited_line) {
    tcase_add_test(tests, the_first_line_is_written);
    tcase_add_test(tests, one_line_a_second_tells_of_those_before_it);
    tcase_add_test(tests, of_many_threads_one_writes_and_none_is_forgotten);
}
