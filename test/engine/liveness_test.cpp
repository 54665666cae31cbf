// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "engine/liveness.hpp"

#include "unit.hpp"

using websocket::engine::kOverslept;
using websocket::engine::Liveness;
using websocket::engine::overslept;
using websocket::engine::Tick;

namespace {

constexpr Tick kInterval = 100;
constexpr Tick kTimeout = 30;
constexpr Tick kStart = static_cast<Tick>(-50);  // the clock wraps meanwhile

}  // namespace

START_TEST(silence_begins_an_interval_after_the_last_sign_of_life) {
    Liveness liveness;
    liveness.note(kStart, true);
    ck_assert(!liveness.silent(kStart + kInterval - 1, kInterval));
    ck_assert(liveness.silent(kStart + kInterval, kInterval));
    ck_assert_uint_eq(liveness.next_look(kStart, kInterval, kTimeout), kStart + kInterval);
    liveness.note(kStart + 70, true);
    ck_assert_uint_eq(liveness.next_look(kStart + 80, kInterval, kTimeout), kStart + 170);
}
END_TEST

START_TEST(a_pong_is_overdue_when_its_time_is_over_and_nothing_else_has_come) {
    Liveness liveness;
    liveness.note(kStart, true);
    const Tick sent = kStart + kInterval;
    liveness.begin_ping(sent, {});
    ck_assert(liveness.awaits_pong());
    ck_assert_uint_eq(liveness.next_look(sent, kInterval, kTimeout), sent + kTimeout);
    ck_assert(!liveness.overdue(sent + kTimeout - 1, kTimeout));
    ck_assert(liveness.overdue(sent + kTimeout, kTimeout));
    liveness.prolong(sent + kTimeout);
    ck_assert(!liveness.overdue(sent + kTimeout, kTimeout));
    liveness.note(sent + kTimeout + 1, true);
    ck_assert(!liveness.awaits_pong());
    ck_assert(!liveness.overdue(sent + 10 * kTimeout, kTimeout));
}
END_TEST

START_TEST(a_pong_that_may_take_longer_than_the_interval_is_looked_for_at_each_interval) {
    Liveness liveness;
    liveness.begin_ping(kStart, {});
    liveness.note(kStart, false);
    ck_assert_uint_eq(liveness.next_look(kStart, kInterval, 3 * kInterval), kStart + kInterval);
}
END_TEST

START_TEST(nobody_owes_a_pong_who_is_not_read_from) {
    Liveness liveness;
    liveness.begin_ping(kStart, {});
    liveness.excuse(kStart + 5);
    ck_assert(!liveness.awaits_pong());
    ck_assert_uint_eq(liveness.last(), kStart + 5);
}
END_TEST

START_TEST(who_takes_bytes_lives) {
    Liveness liveness;
    liveness.begin_ping(kStart, {1000, UINT32_MAX});
    ck_assert(!liveness.takes({1000, UINT32_MAX}));
    ck_assert(!liveness.takes({1500, UINT32_MAX}));  // more were sent
    ck_assert(liveness.takes({1500, 0}));            // one was taken, and one more sent
    ck_assert(!liveness.takes({1500, 0}));
    ck_assert(liveness.takes({1, 1499}));
    ck_assert(!liveness.takes({0, 1500}));  // it has all, and so no excuse
    ck_assert(liveness.awaits_pong());
}
END_TEST

START_TEST(closing_goes_on_while_the_peer_takes_something_but_not_without_end) {
    Liveness liveness;
    liveness.note(kStart, true);
    liveness.begin_close(kStart, {10, 0});
    ck_assert(liveness.may_go_on(kStart + kTimeout - 1, kTimeout));
    ck_assert(!liveness.may_go_on(kStart + kTimeout, kTimeout));
    Tick now = kStart;
    while (liveness.may_go_on(now, kTimeout)) {
        liveness.note(now, false);
        now += kTimeout / 2;
    }
    ck_assert_uint_eq(now, kStart + Liveness::kMaxCloseTimeouts * kTimeout);
}
END_TEST

START_TEST(a_timer_that_is_a_second_late_was_not_the_peers_fault) {
    ck_assert(!overslept(kStart + kOverslept - 1, kStart));
    ck_assert(overslept(kStart + kOverslept, kStart));
    ck_assert(!overslept(kStart - 1, kStart));
}
END_TEST

WEBSOCKET_TEST_SUITE(liveness) {
    tcase_add_test(tests, silence_begins_an_interval_after_the_last_sign_of_life);
    tcase_add_test(tests, a_pong_is_overdue_when_its_time_is_over_and_nothing_else_has_come);
    tcase_add_test(tests,
                   a_pong_that_may_take_longer_than_the_interval_is_looked_for_at_each_interval);
    tcase_add_test(tests, nobody_owes_a_pong_who_is_not_read_from);
    tcase_add_test(tests, who_takes_bytes_lives);
    tcase_add_test(tests, closing_goes_on_while_the_peer_takes_something_but_not_without_end);
    tcase_add_test(tests, a_timer_that_is_a_second_late_was_not_the_peers_fault);
}
