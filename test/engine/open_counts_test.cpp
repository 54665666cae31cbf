// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "engine/open_counts.hpp"

#include "unit.hpp"

using websocket::engine::OpenCounts;

START_TEST(connections_are_counted_where_their_category_is) {
    OpenCounts::Count first{0};
    OpenCounts::Count second{0};
    OpenCounts counts;
    counts.count_at(0, first);
    counts.count_at(OpenCounts::kCategories - 1, second);
    counts.opened(0);
    counts.opened(0);
    counts.opened(OpenCounts::kCategories - 1);
    counts.closed(0);
    ck_assert_int_eq(first, 1);
    ck_assert_int_eq(second, 1);
}
END_TEST

START_TEST(a_category_that_nobody_asked_for_is_counted_nowhere) {
    OpenCounts::Count first{0};
    OpenCounts counts;
    counts.count_at(0, first);
    counts.opened(1);
    counts.closed(2);
    ck_assert_int_eq(first, 0);
}
END_TEST

WEBSOCKET_TEST_SUITE(open_counts) {
    tcase_add_test(tests, connections_are_counted_where_their_category_is);
    tcase_add_test(tests, a_category_that_nobody_asked_for_is_counted_nowhere);
}
