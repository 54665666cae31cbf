// SPDX-License-Identifier: Apache-2.0
#include "shm/process_rows.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <map>
#include <thread>
#include <vector>

#include "unit.hpp"

using websocket::shm::ProcessRows;

namespace {

using Number = std::atomic<int>;

Number& own(ProcessRows& rows) { return *static_cast<Number*>(rows.own()); }

/// What stands in the rows, by process.
std::map<pid_t, int> seen(const ProcessRows& rows) {
    std::map<pid_t, int> numbers;
    rows.for_each([&](pid_t process, const void* row) {
        numbers[process] = static_cast<const Number*>(row)->load();
    });
    return numbers;
}

/// A child process that writes `number` into its row and ends; its parent has not waited for it.
pid_t write_in_child(ProcessRows& rows, int number) {
    const pid_t child = ::fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        own(rows) = number;
        ::_exit(0);
    }
    siginfo_t ended{};
    ck_assert_int_eq(::waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOWAIT), 0);
    return child;
}

void reap(pid_t child) { ck_assert_int_eq(::waitpid(child, nullptr, 0), child); }

}  // namespace

START_TEST(a_row_holds_zeros_and_is_the_same_for_all_threads) {
    ProcessRows rows(3, sizeof(Number));
    ck_assert(seen(rows).empty());
    ck_assert_int_eq(own(rows), 0);
    own(rows) = 7;
    std::vector<std::thread> threads;
    std::atomic<int> sum{0};
    for (int i = 0; i < 4; ++i) threads.emplace_back([&] { sum += own(rows); });
    for (std::thread& thread : threads) thread.join();
    ck_assert_int_eq(sum, 28);
    ck_assert(seen(rows) == (std::map<pid_t, int>{{::getpid(), 7}}));
    ck_assert(rows.shares());
}
END_TEST

START_TEST(threads_that_begin_together_get_one_row) {
    for (int round = 0; round < 50; ++round) {
        ProcessRows rows(4, sizeof(Number));
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; ++i) threads.emplace_back([&] { ++own(rows); });
        for (std::thread& thread : threads) thread.join();
        ck_assert(seen(rows) == (std::map<pid_t, int>{{::getpid(), 4}}));
    }
}
END_TEST

START_TEST(what_a_process_wrote_stays_until_it_is_forgotten) {
    ProcessRows rows(2, sizeof(Number));
    const pid_t first = write_in_child(rows, 1);
    for (int i = 0; i < 5; ++i) {  // more than there are rows: they are used again
        const pid_t child = write_in_child(rows, 5);
        ck_assert(seen(rows) == (std::map<pid_t, int>{{first, 1}, {child, 5}}));
        reap(child);
        rows.forget(child);
        ck_assert(seen(rows) == (std::map<pid_t, int>{{first, 1}}));
    }
    reap(first);
}
END_TEST

START_TEST(a_row_is_clean_for_the_next_process) {
    ProcessRows rows(1, sizeof(Number));
    const pid_t child = write_in_child(rows, 5);
    reap(child);
    rows.forget_ended();
    ck_assert(seen(rows).empty());
    ck_assert_int_eq(own(rows), 0);
    ck_assert(rows.shares());
}
END_TEST

START_TEST(a_process_without_a_row_is_alone_and_others_do_not_see_it) {
    ProcessRows rows(1, sizeof(Number));
    const pid_t child = write_in_child(rows, 5);
    own(rows) = 3;
    ck_assert(!rows.shares());
    ck_assert(seen(rows) == (std::map<pid_t, int>{{::getpid(), 3}}));
    reap(child);
}
END_TEST

START_TEST(living_processes_are_not_forgotten) {
    ProcessRows rows(2, sizeof(Number));
    own(rows) = 3;
    rows.forget_ended();
    rows.forget(1);  // has no row
    ck_assert(seen(rows) == (std::map<pid_t, int>{{::getpid(), 3}}));
}
END_TEST

START_TEST(a_row_that_is_handed_on_keeps_what_is_left_in_it) {
    ProcessRows rows(1, sizeof(Number));
    const auto used = [&] {
        std::vector<int> numbers;
        rows.for_each_used(
            [&](const void* row) { numbers.push_back(static_cast<const Number*>(row)->load()); });
        return numbers;
    };
    ck_assert(used().empty());
    const pid_t child = write_in_child(rows, 5);
    ck_assert(used() == std::vector{5});
    reap(child);
    rows.hand_on(child, [](void* row) { ++*static_cast<Number*>(row); });
    rows.forget_ended();  // nothing to do
    ck_assert(seen(rows).empty());
    ck_assert(used() == std::vector{6});
    ck_assert_int_eq(own(rows), 6);
    ck_assert(rows.shares());
    rows.forget(::getpid());
    ck_assert(used().empty());
}
END_TEST

WEBSOCKET_TEST_SUITE(process_rows) {
    tcase_add_test(tests, a_row_holds_zeros_and_is_the_same_for_all_threads);
    tcase_add_test(tests, threads_that_begin_together_get_one_row);
    tcase_add_test(tests, what_a_process_wrote_stays_until_it_is_forgotten);
    tcase_add_test(tests, a_row_is_clean_for_the_next_process);
    tcase_add_test(tests, a_process_without_a_row_is_alone_and_others_do_not_see_it);
    tcase_add_test(tests, a_row_that_is_handed_on_keeps_what_is_left_in_it);
    tcase_add_test(tests, living_processes_are_not_forgotten);
}
