// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "net/timer_wheel.hpp"

#include <algorithm>
#include <map>
#include <vector>

#include "protocol/random.hpp"
#include "unit.hpp"

using namespace websocket::net;
using namespace std::chrono_literals;
using websocket::test::Random;

namespace {

constexpr std::chrono::milliseconds kTick{64};

/// Deadlines of the nodes that fire when the wheel advances to `now`.
std::vector<Tick> advance(TimerWheel& wheel, Tick now) {
    std::vector<Tick> fired;
    wheel.advance(now, [&](TimerNode& node) {
        ck_assert(!node.armed());
        fired.push_back(node.deadline);
    });
    return fired;
}

}  // namespace

START_TEST(durations_are_rounded_up_beyond_the_present_tick) {
    ck_assert_uint_eq(to_ticks(0ms, kTick), 1);
    ck_assert_uint_eq(to_ticks(1ms, kTick), 2);
    ck_assert_uint_eq(to_ticks(kTick, kTick), 2);
    ck_assert_uint_eq(to_ticks(kTick + 1ms, kTick), 3);
    ck_assert_uint_eq(to_ticks(64s, kTick), 1001);
}
END_TEST

START_TEST(fires_on_time_and_once) {
    TimerWheel wheel(kTick, 100);
    TimerNode node;
    wheel.arm(node, 105);
    ck_assert(node.armed());
    ck_assert_uint_eq(wheel.ticks_to_next(), 5);
    ck_assert(advance(wheel, 104).empty());
    ck_assert_uint_eq(wheel.ticks_to_next(), 1);
    ck_assert_uint_eq(advance(wheel, 105).size(), 1);
    ck_assert(!node.armed());
    ck_assert(advance(wheel, 5000).empty());
    ck_assert_uint_eq(wheel.ticks_to_next(), 0);
}
END_TEST

START_TEST(a_deadline_that_has_passed_fires_at_the_next_tick) {
    TimerWheel wheel(kTick, 100);
    TimerNode past;
    TimerNode now;
    wheel.arm(past, 3);
    wheel.arm(now, 100);
    ck_assert(advance(wheel, 100).empty());
    ck_assert_uint_eq(advance(wheel, 101).size(), 2);
}
END_TEST

START_TEST(cancelled_timers_do_not_fire) {
    TimerWheel wheel(kTick, 0);
    TimerNode kept;
    TimerNode cancelled;
    wheel.arm(cancelled, 5);
    wheel.arm(kept, 5);
    wheel.cancel(cancelled);
    wheel.cancel(cancelled);
    ck_assert_uint_eq(advance(wheel, 10).size(), 1);
}
END_TEST

START_TEST(arming_again_moves_the_deadline) {
    TimerWheel wheel(kTick, 0);
    TimerNode node;
    wheel.arm(node, 5);
    wheel.arm(node, 9);
    ck_assert(advance(wheel, 8).empty());
    wheel.arm(node, 2000);
    ck_assert(advance(wheel, 1999).empty());
    ck_assert_uint_eq(advance(wheel, 2000).size(), 1);
}
END_TEST

START_TEST(deadlines_beyond_the_ring_wait_for_their_turn) {
    TimerWheel wheel(kTick, 7);
    std::vector<TimerNode> nodes(5);
    for (Tick i = 0; i < nodes.size(); ++i) wheel.arm(nodes[i], 10 + 1024 * i);
    for (Tick i = 0; i < nodes.size(); ++i) {
        ck_assert(advance(wheel, 9 + 1024 * i).empty());
        const auto fired = advance(wheel, 10 + 1024 * i);
        ck_assert_uint_eq(fired.size(), 1);
        ck_assert_uint_eq(fired[0], 10 + 1024 * i);
    }
}
END_TEST

START_TEST(a_timer_may_be_armed_again_while_it_fires) {
    TimerWheel wheel(kTick, 0);
    TimerNode node;
    wheel.arm(node, 1);
    int fired = 0;
    wheel.advance(5000, [&](TimerNode& due) {
        ++fired;
        wheel.arm(due, due.deadline + (fired % 2 == 0 ? 1 : 1024));
    });
    ck_assert_int_eq(fired, 9);
    ck_assert(node.armed());
}
END_TEST

START_TEST(a_firing_timer_may_cancel_and_arm_those_that_are_due_with_it) {
    TimerWheel wheel(kTick, 0);
    std::vector<TimerNode> nodes(4);
    for (TimerNode& node : nodes) wheel.arm(node, 5);
    int fired = 0;
    wheel.advance(5, [&](TimerNode&) {
        if (++fired > 1) return;
        wheel.cancel(nodes[1]);
        wheel.arm(nodes[2], 9);
    });
    ck_assert_int_eq(fired, 2);
    ck_assert(!nodes[1].armed());
    ck_assert_uint_eq(advance(wheel, 9).size(), 1);
}
END_TEST

START_TEST(time_may_wrap) {
    constexpr Tick kStart = 0U - 10;
    static_assert(before(kStart, 5) && !before(5, kStart) && !before(5, 5));
    TimerWheel wheel(kTick, kStart);
    TimerNode node;
    wheel.arm(node, 5);
    ck_assert_uint_eq(wheel.ticks_to_next(), 15);
    ck_assert(advance(wheel, 4).empty());
    ck_assert_uint_eq(advance(wheel, 5).size(), 1);
}
END_TEST

/// Against the simplest thing that could work.
START_TEST(agrees_with_a_sorted_list) {
    Random random(20);
    std::vector<TimerNode> nodes(50);
    std::multimap<Tick, TimerNode*> model;
    const auto forget = [&](TimerNode& node) {
        std::erase_if(model, [&](const auto& entry) { return entry.second == &node; });
    };
    Tick now = 0U - 3000;
    TimerWheel wheel(kTick, now);
    // Keys of the model count from the start, so that they need not wrap.
    const Tick start = now;
    for (int step = 0; step < 20'000; ++step) {
        TimerNode& node = nodes[random.below(nodes.size())];
        if (random.one_in(4)) {
            wheel.cancel(node);
            forget(node);
        } else {
            const auto deadline = static_cast<Tick>(now + 1 + random.below(3000));
            wheel.arm(node, deadline);
            forget(node);
            model.emplace(deadline - start, &node);
        }
        if (random.one_in(3)) now += static_cast<Tick>(random.pick({0, 1, 1, 7, 90, 1500}));
        std::vector<Tick> expected;
        while (!model.empty() && model.begin()->first <= now - start) {
            expected.push_back(model.begin()->first + start);
            model.erase(model.begin());
        }
        if (advance(wheel, now) != expected) ck_abort_msg("differs in step %d", step);
        const Tick next = wheel.ticks_to_next();
        if (!model.empty() && (next == 0 || next > model.begin()->first + start - now)) {
            ck_abort_msg("would sleep too long in step %d", step);
        }
    }
}
END_TEST

WEBSOCKET_TEST_SUITE(timer_wheel) {
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, durations_are_rounded_up_beyond_the_present_tick);
    tcase_add_test(tests, fires_on_time_and_once);
    tcase_add_test(tests, a_deadline_that_has_passed_fires_at_the_next_tick);
    tcase_add_test(tests, cancelled_timers_do_not_fire);
    tcase_add_test(tests, arming_again_moves_the_deadline);
    tcase_add_test(tests, deadlines_beyond_the_ring_wait_for_their_turn);
    tcase_add_test(tests, a_timer_may_be_armed_again_while_it_fires);
    tcase_add_test(tests, a_firing_timer_may_cancel_and_arm_those_that_are_due_with_it);
    tcase_add_test(tests, time_may_wrap);
    tcase_add_test(tests, agrees_with_a_sorted_list);
}
