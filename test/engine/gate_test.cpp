// SPDX-License-Identifier: Apache-2.0
#include "engine/gate.hpp"

#include <atomic>
#include <thread>
#include <vector>

#include "unit.hpp"

using websocket::engine::Admission;
using websocket::engine::Gate;

START_TEST(nothing_passes_a_gate_that_was_not_opened) {
    Gate gate;
    ck_assert(gate.admit(1, 1, 100) == Admission::closing);
    gate.open();
    ck_assert(gate.admit(1, 1, 100) == Admission::accepted);
}
END_TEST

START_TEST(below_the_mark_one_frame_of_any_size_is_taken) {
    Gate gate;
    gate.open();
    ck_assert(gate.admit(1, 99, 100) == Admission::accepted);
    ck_assert(gate.admit(1, Gate::kMaxQueued - 1, 100) == Admission::accepted);
    ck_assert(gate.admit(1, 1, 100) == Admission::full);
    ck_assert_uint_eq(gate.queued(), 99 + Gate::kMaxQueued - 1);
    ck_assert(!gate.closing());
    ck_assert_uint_eq(gate.generation(), 1);
}
END_TEST

START_TEST(a_frame_that_can_never_be_queued_is_refused) {
    Gate gate;
    gate.open();
    ck_assert(gate.admit(1, Gate::kMaxQueued, SIZE_MAX) == Admission::too_big);
    ck_assert_uint_eq(gate.queued(), 0);
}
END_TEST

/// However high the mark: the count must not run into the flags.
START_TEST(the_count_stays_clear_of_the_flags) {
    Gate gate;
    gate.open();
    while (gate.admit(1, Gate::kMaxQueued - 1, SIZE_MAX) == Admission::accepted) {
    }
    gate.add(1U << 20);
    ck_assert(!gate.closing());
    ck_assert(!gate.end_wait());
    ck_assert_uint_eq(gate.generation(), 1);
    ck_assert_uint_eq(gate.queued(), 2 * (Gate::kMaxQueued - 1) + (1U << 20));
}
END_TEST

START_TEST(what_nobody_writes_is_taken_back) {
    Gate gate;
    gate.open();
    ck_assert(gate.admit(1, 60, 100) == Admission::accepted);
    gate.withdraw(1, 60);
    ck_assert_uint_eq(gate.queued(), 0);
    ck_assert(gate.admit(1, 60, 100) == Admission::accepted);
    ck_assert(!gate.retire());
    gate.open();
    ck_assert(gate.admit(2, 10, 100) == Admission::accepted);
    gate.withdraw(1, 60);  // too late: it counts for somebody else
    ck_assert_uint_eq(gate.queued(), 10);
}
END_TEST

START_TEST(a_closing_gate_takes_nothing_and_closes_once) {
    Gate gate;
    gate.open();
    ck_assert(!gate.close(2));
    ck_assert(gate.close(1));
    ck_assert(!gate.close(1));
    ck_assert(gate.closing());
    ck_assert(gate.admit(1, 1, 100) == Admission::closing);
    ck_assert(!gate.begin_wait(1, 0));
}
END_TEST

START_TEST(a_stale_generation_gets_nowhere) {
    Gate gate;
    gate.open();
    ck_assert(gate.admit(1, 50, 100) == Admission::accepted);
    ck_assert(gate.close(1));
    ck_assert(!gate.retire());
    ck_assert_uint_eq(gate.generation(), 2);
    ck_assert_uint_eq(gate.queued(), 0);
    ck_assert(gate.closing());
    gate.open();
    ck_assert(gate.admit(1, 1, 100) == Admission::gone);
    ck_assert(!gate.close(1));
    ck_assert(!gate.begin_wait(1, 0));
    ck_assert(gate.admit(2, 1, 100) == Admission::accepted);
}
END_TEST

START_TEST(waiters_are_told_when_there_is_room_and_not_before) {
    Gate gate;
    gate.open();
    ck_assert(!gate.begin_wait(1, 0));
    ck_assert(gate.admit(1, 100, 100) == Admission::accepted);
    ck_assert(!gate.begin_wait(1, 100));
    ck_assert(gate.begin_wait(1, 50));
    ck_assert(!gate.release(49, 50));
    ck_assert(gate.release(1, 50));
    ck_assert(gate.end_wait());
    ck_assert(!gate.end_wait());
    ck_assert(!gate.release(1, 50));
}
END_TEST

START_TEST(messages_are_held_up_and_what_goes_between_is_not) {
    Gate gate;
    gate.open();
    ck_assert(!gate.full(100) && gate.has_room(50));
    gate.hold_up();
    ck_assert(gate.full(100) && !gate.has_room(50));
    ck_assert(gate.admit(1, 1, 100, websocket::engine::Passage::behind) == Admission::full);
    ck_assert(gate.admit(1, 60, 100, websocket::engine::Passage::between) == Admission::accepted);
    ck_assert(gate.begin_wait(1, 100, websocket::engine::Passage::behind));
    ck_assert(gate.end_wait());
    ck_assert(gate.begin_wait(1, 50, websocket::engine::Passage::between));
    ck_assert(!gate.begin_wait(1, 100, websocket::engine::Passage::between));
    gate.let_on();
    ck_assert(gate.admit(1, 1, 100, websocket::engine::Passage::behind) == Admission::accepted);
    ck_assert_uint_eq(gate.queued(), 61);
    gate.hold_up();
    ck_assert(gate.retire());
    gate.open();
    ck_assert(gate.admit(2, 1, 100, websocket::engine::Passage::behind) == Admission::accepted);
}
END_TEST

START_TEST(the_end_tells_waiters) {
    Gate gate;
    gate.open();
    gate.add(100);
    ck_assert(gate.begin_wait(1, 50));
    ck_assert(gate.retire());
    ck_assert(!gate.retire());
}
END_TEST

START_TEST(threads_together_get_no_more_than_the_mark) {
    constexpr std::size_t kMark = 100'000;
    Gate gate;
    gate.open();
    std::atomic<std::size_t> accepted{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            while (gate.admit(1, 1, kMark) == Admission::accepted) ++accepted;
        });
    }
    for (std::thread& thread : threads) thread.join();
    ck_assert_uint_eq(accepted, kMark);
    ck_assert_uint_eq(gate.queued(), kMark);
}
END_TEST

/// Senders with old ids race against slot reuse: no byte may count against a later connection.
START_TEST(no_byte_of_the_past_counts_against_the_next_connection) {
    Gate gate;
    gate.open();
    std::atomic<bool> over{false};
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
        threads.emplace_back([&] {
            while (!over) {
                const std::uint32_t generation = gate.generation();
                if (gate.admit(generation, 10, 100) == Admission::accepted) {
                    gate.withdraw(generation, 10);
                }
                static_cast<void>(gate.begin_wait(generation, 0));
                gate.close(generation);
            }
        });
    }
    for (int i = 0; i < 20'000; ++i) static_cast<void>(gate.retire());
    over = true;
    for (std::thread& thread : threads) thread.join();
    ck_assert_uint_eq(gate.generation(), 20'001);
    ck_assert_uint_eq(gate.queued(), 0);
}
END_TEST

WEBSOCKET_TEST_SUITE(gate) {
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, nothing_passes_a_gate_that_was_not_opened);
    tcase_add_test(tests, below_the_mark_one_frame_of_any_size_is_taken);
    tcase_add_test(tests, a_frame_that_can_never_be_queued_is_refused);
    tcase_add_test(tests, the_count_stays_clear_of_the_flags);
    tcase_add_test(tests, what_nobody_writes_is_taken_back);
    tcase_add_test(tests, a_closing_gate_takes_nothing_and_closes_once);
    tcase_add_test(tests, a_stale_generation_gets_nowhere);
    tcase_add_test(tests, waiters_are_told_when_there_is_room_and_not_before);
    tcase_add_test(tests, messages_are_held_up_and_what_goes_between_is_not);
    tcase_add_test(tests, the_end_tells_waiters);
    tcase_add_test(tests, threads_together_get_no_more_than_the_mark);
    tcase_add_test(tests, no_byte_of_the_past_counts_against_the_next_connection);
}
