// SPDX-License-Identifier: Apache-2.0
#include "plugin/common/pace.hpp"

#include "unit.hpp"

using namespace std::chrono_literals;
using websocket::plugin::Pace;

namespace {

/// After as many callbacks that take so long.
Pace& after(Pace& pace, int callbacks, Pace::Nanoseconds each) {
    for (int i = 0; i < callbacks; ++i) pace.note(each, 1, 0);
    return pace;
}

}  // namespace

START_TEST(callbacks_are_brief_once_enough_of_them_were) {
    Pace pace;
    ck_assert(!pace.brief());
    ck_assert(!after(pace, 30, 1us).brief());
    ck_assert(after(pace, 70, 1us).brief());
}
END_TEST

START_TEST(callbacks_that_take_longer_than_the_rest_of_a_message_are_not) {
    Pace pace;
    ck_assert(after(pace, 1000, 15us).brief());
    ck_assert(!after(pace, 1000, 40us).brief());
    ck_assert(after(pace, 1000, 5us).brief());
}
END_TEST

START_TEST(one_that_waits_counts_however_long_it_takes_and_is_forgotten) {
    Pace pace;
    ck_assert(after(pace, 1000, 1us).brief());
    ck_assert(!after(pace, 1, 10s).brief());
    ck_assert(after(pace, 100, 1us).brief());
    ck_assert(!after(pace, 1, 2ms).brief());
    ck_assert(after(pace, 100, 1us).brief());
}
END_TEST

START_TEST(with_one_of_fifty_that_waits_they_are_hardly_ever_brief) {
    Pace pace;
    int brief = 0;
    for (int i = 0; i < 5'000; ++i) {
        pace.note(i % 50 == 0 ? 5ms : 1us, 1, 0);
        brief += pace.brief() ? 1 : 0;
    }
    ck_assert_int_lt(brief, 500);
}
END_TEST

START_TEST(one_that_waits_in_the_middle_of_others_counts_as_much) {
    Pace pace;
    ck_assert(after(pace, 1000, 1us).brief());
    pace.note(3ms, 128, 0);
    ck_assert(!pace.brief());
}
END_TEST

START_TEST(large_messages_may_take_longer) {
    Pace pace;
    for (int i = 0; i < 1000; ++i) pace.note(400us, 1, 1U << 20);
    ck_assert(pace.brief());
    for (int i = 0; i < 1000; ++i) pace.note(400us, 1, 1'000);
    ck_assert(!pace.brief());
}
END_TEST

WEBSOCKET_TEST_SUITE(pace) {
    tcase_add_test(tests, callbacks_are_brief_once_enough_of_them_were);
    tcase_add_test(tests, callbacks_that_take_longer_than_the_rest_of_a_message_are_not);
    tcase_add_test(tests, one_that_waits_counts_however_long_it_takes_and_is_forgotten);
    tcase_add_test(tests, with_one_of_fifty_that_waits_they_are_hardly_ever_brief);
    tcase_add_test(tests, one_that_waits_in_the_middle_of_others_counts_as_much);
    tcase_add_test(tests, large_messages_may_take_longer);
}
