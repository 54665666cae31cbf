// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "net/timers.hpp"

#include <functional>
#include <utility>
#include <vector>

#include "unit.hpp"

using namespace std::chrono_literals;
using websocket::net::OwnerId;
using websocket::net::Timers;
using websocket::net::TimerTask;

namespace {

/// Calls a function; counts how many of its kind are alive.
class Task final : public TimerTask {
public:
    explicit Task(std::function<void()> function) : function_(std::move(function)) { ++alive; }
    ~Task() override { --alive; }
    void fire() noexcept override { function_(); }

    static inline int alive = 0;

private:
    std::function<void()> function_;
};

std::unique_ptr<TimerTask> task(std::function<void()> function) {
    return std::make_unique<Task>(std::move(function));
}

constexpr OwnerId kNobody = 0;
constexpr OwnerId kAlice = 1;
constexpr OwnerId kBob = 2;

}  // namespace

START_TEST(a_timer_is_never_early_and_hardly_late) {
    Timers timers;
    int fired = 0;
    timers.start(1, kNobody, {100ms, 0ms}, task([&] { ++fired; }));
    ck_assert(timers.timeout(0ms, 1000ms) <= 108ms);
    timers.advance(100ms);
    ck_assert_int_eq(fired, 0);
    timers.advance(108ms);
    ck_assert_int_eq(fired, 1);
    ck_assert_int_eq(Task::alive, 0);
    timers.advance(10'000ms);
    ck_assert_int_eq(fired, 1);
    ck_assert(timers.timeout(10'000ms, 1000ms) == 1000ms);
}
END_TEST

START_TEST(a_period_goes_on_until_it_is_cancelled_also_from_inside) {
    Timers timers;
    int fired = 0;
    timers.start(1, kNobody, {10ms, 10ms}, task([&] {
                     if (++fired == 3) timers.cancel(1);
                 }));
    for (auto now = 0ms; now < 200ms; now += 4ms) timers.advance(now);
    ck_assert_int_eq(fired, 3);
    ck_assert_int_eq(Task::alive, 0);
}
END_TEST

START_TEST(calls_that_a_busy_loop_missed_are_not_made_up_for) {
    Timers timers;
    int fired = 0;
    timers.start(1, kNobody, {4ms, 4ms}, task([&] { ++fired; }));
    timers.advance(100ms);
    timers.advance(10'000ms);
    ck_assert_int_le(fired, 2);
}
END_TEST

START_TEST(the_end_of_a_connection_ends_its_timers_only) {
    Timers timers;
    std::vector<int> fired;
    timers.start(1, kAlice, {10ms, 10ms}, task([&] { fired.push_back(1); }));
    timers.start(2, kBob, {10ms, 0ms}, task([&] { fired.push_back(2); }));
    timers.start(3, kAlice, {20ms, 0ms}, task([&] { fired.push_back(3); }));
    timers.start(4, kNobody, {30ms, 0ms}, task([&] { fired.push_back(4); }));
    timers.cancel_all(kAlice);
    ck_assert_int_eq(Task::alive, 2);
    timers.advance(100ms);
    ck_assert(fired == (std::vector{2, 4}));
}
END_TEST

START_TEST(a_task_may_end_all_timers_of_its_connection_and_start_others) {
    Timers timers;
    int fired = 0;
    timers.start(1, kAlice, {10ms, 10ms}, task([&] {
                     timers.start(3, kBob, {50ms, 0ms}, task([&] { ++fired; }));
                     timers.cancel_all(kAlice);
                 }));
    timers.start(2, kAlice, {500ms, 0ms}, task([&] { fired += 100; }));
    for (auto now = 0ms; now < 1000ms; now += 4ms) timers.advance(now);
    ck_assert_int_eq(fired, 1);
    ck_assert_int_eq(Task::alive, 0);
}
END_TEST

START_TEST(all_of_them_can_be_ended) {
    Timers timers;
    timers.start(1, kAlice, {10ms, 10ms}, task([] {}));
    timers.start(2, kNobody, {10ms, 0ms}, task([] {}));
    timers.cancel(77);
    timers.cancel_all();
    ck_assert_int_eq(Task::alive, 0);
}
END_TEST

WEBSOCKET_TEST_SUITE(timers) {
    tcase_add_test(tests, a_timer_is_never_early_and_hardly_late);
    tcase_add_test(tests, a_period_goes_on_until_it_is_cancelled_also_from_inside);
    tcase_add_test(tests, calls_that_a_busy_loop_missed_are_not_made_up_for);
    tcase_add_test(tests, the_end_of_a_connection_ends_its_timers_only);
    tcase_add_test(tests, a_task_may_end_all_timers_of_its_connection_and_start_others);
    tcase_add_test(tests, all_of_them_can_be_ended);
}
