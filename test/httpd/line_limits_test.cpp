// SPDX-License-Identifier: Apache-2.0
#include "httpd/log/line_limits.hpp"

#include <vector>

#include "unit.hpp"

using namespace std::chrono_literals;
using websocket::httpd::kLimitedLines;
using websocket::httpd::line_number;
using websocket::httpd::LineLimits;
using Due = LineLimits::Due;

namespace {

constexpr LineLimits::Clock::time_point kStart{1000s};
constexpr int kWarning = 4;

/// How many of `count` lines are written.
unsigned permitted(LineLimits& limits, std::uint16_t number, unsigned count) {
    unsigned written = 0;
    for (unsigned i = 0; i < count; ++i) {
        written += limits.permit(number, kWarning, nullptr, kStart) ? 1U : 0U;
    }
    return written;
}

std::vector<LineLimits::LeftOut> reported(LineLimits& limits, Due due,
                                          LineLimits::Clock::time_point now, bool& remains) {
    std::vector<LineLimits::LeftOut> all;
    remains = limits.report(
        due, [&](const auto& one) { all.push_back(one); }, now);
    return all;
}

}  // namespace

START_TEST(the_number_is_that_of_the_id) {
    ck_assert_uint_eq(line_number("WS0104: WebSocket handshake refused"), 104);
    ck_assert_uint_eq(line_number("WS0507"), 507);
    for (const char* other : {"", "WS", "WS010", "WS01x4: ", "AH0104: ", " WS0104: "}) {
        ck_assert_uint_eq(line_number(other), 0);
    }
}
END_TEST

START_TEST(no_number_is_there_twice) {
    for (const auto number : kLimitedLines) {
        ck_assert_int_eq(std::ranges::count(kLimitedLines, number), 1);
    }
}
END_TEST

START_TEST(each_id_has_a_burst_of_its_own) {
    LineLimits limits;
    ck_assert_uint_eq(permitted(limits, 101, 300), LineLimits::kBurst);
    ck_assert_uint_eq(permitted(limits, 104, 300), LineLimits::kBurst);
}
END_TEST

START_TEST(other_lines_are_always_written) {
    LineLimits limits;
    ck_assert_uint_eq(permitted(limits, 131, 300), 300);
    ck_assert_uint_eq(permitted(limits, 0, 300), 300);
    bool remains = true;
    ck_assert(reported(limits, Due::all, kStart, remains).empty());
    ck_assert(!remains);
}
END_TEST

START_TEST(what_was_left_out_is_told_of_each_id_when_it_is_time) {
    LineLimits limits;
    static_cast<void>(permitted(limits, 101, 300));
    static_cast<void>(permitted(limits, 104, LineLimits::kBurst + 1));
    bool remains = false;
    ck_assert(reported(limits, Due::now, kStart, remains).empty());
    ck_assert(remains);
    const auto told = reported(limits, Due::now, kStart + 1s, remains);
    ck_assert(!remains);
    ck_assert_uint_eq(told.size(), 2);
    ck_assert_uint_eq(told.at(0).number, 101);
    ck_assert_uint_eq(told.at(0).count, 300 - LineLimits::kBurst);
    ck_assert_int_eq(told.at(0).level, kWarning);
    ck_assert_uint_eq(told.at(1).count, 1);
}
END_TEST

START_TEST(at_the_end_all_is_told) {
    LineLimits limits;
    static_cast<void>(permitted(limits, 101, 300));
    bool remains = true;
    ck_assert_uint_eq(reported(limits, Due::all, kStart, remains).size(), 1);
    ck_assert(!remains);
}
END_TEST

WEBSOCKET_TEST_SUITE(line_limits) {
    tcase_add_test(tests, the_number_is_that_of_the_id);
    tcase_add_test(tests, no_number_is_there_twice);
    tcase_add_test(tests, each_id_has_a_burst_of_its_own);
    tcase_add_test(tests, other_lines_are_always_written);
    tcase_add_test(tests, what_was_left_out_is_told_of_each_id_when_it_is_time);
    tcase_add_test(tests, at_the_end_all_is_told);
}
