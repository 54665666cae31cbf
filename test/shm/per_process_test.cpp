// SPDX-License-Identifier: Apache-2.0
#include "shm/per_process.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <map>
#include <thread>
#include <vector>

#include "unit.hpp"

using websocket::shm::PerProcess;

namespace {

using Number = std::atomic<int>;

Number& own(PerProcess& parts) { return *static_cast<Number*>(parts.own()); }

/// What stands in the parts, by process.
std::map<pid_t, int> seen(const PerProcess& parts) {
    std::map<pid_t, int> numbers;
    parts.for_each([&](pid_t process, const void* part) {
        numbers[process] = static_cast<const Number*>(part)->load();
    });
    return numbers;
}

/// A child process that writes `number` into its part and ends; its parent has not waited for it.
pid_t write_in_child(PerProcess& parts, int number) {
    const pid_t child = ::fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        own(parts) = number;
        ::_exit(0);
    }
    siginfo_t ended{};
    ck_assert_int_eq(::waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOWAIT), 0);
    return child;
}

void reap(pid_t child) { ck_assert_int_eq(::waitpid(child, nullptr, 0), child); }

}  // namespace

START_TEST(a_part_holds_zeros_and_is_the_same_for_all_threads) {
    PerProcess parts(3, sizeof(Number));
    ck_assert(seen(parts).empty());
    ck_assert_int_eq(own(parts), 0);
    own(parts) = 7;
    std::vector<std::thread> threads;
    std::atomic<int> sum{0};
    for (int i = 0; i < 4; ++i) threads.emplace_back([&] { sum += own(parts); });
    for (std::thread& thread : threads) thread.join();
    ck_assert_int_eq(sum, 28);
    ck_assert(seen(parts) == (std::map<pid_t, int>{{::getpid(), 7}}));
    ck_assert(parts.shares());
}
END_TEST

START_TEST(threads_that_begin_together_get_one_part) {
    for (int round = 0; round < 50; ++round) {
        PerProcess parts(4, sizeof(Number));
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; ++i) threads.emplace_back([&] { ++own(parts); });
        for (std::thread& thread : threads) thread.join();
        ck_assert(seen(parts) == (std::map<pid_t, int>{{::getpid(), 4}}));
    }
}
END_TEST

START_TEST(what_a_process_wrote_stays_until_it_is_reaped) {
    PerProcess parts(2, sizeof(Number));
    const pid_t first = write_in_child(parts, 1);
    for (int i = 0; i < 5; ++i) {  // more than there are slots: they are used again
        const pid_t child = write_in_child(parts, 5);
        ck_assert(seen(parts) == (std::map<pid_t, int>{{first, 1}, {child, 5}}));
        reap(child);
        parts.reap(child);
        ck_assert(seen(parts) == (std::map<pid_t, int>{{first, 1}}));
    }
    reap(first);
}
END_TEST

START_TEST(a_part_is_clean_for_the_next_process) {
    PerProcess parts(1, sizeof(Number));
    const pid_t child = write_in_child(parts, 5);
    reap(child);
    parts.reap_ended();
    ck_assert(seen(parts).empty());
    ck_assert_int_eq(own(parts), 0);
    ck_assert(parts.shares());
}
END_TEST

START_TEST(a_process_without_a_slot_is_alone_and_others_do_not_see_it) {
    PerProcess parts(1, sizeof(Number));
    const pid_t child = write_in_child(parts, 5);
    own(parts) = 3;
    ck_assert(!parts.shares());
    ck_assert(seen(parts) == (std::map<pid_t, int>{{::getpid(), 3}}));
    reap(child);
}
END_TEST

START_TEST(living_processes_are_not_reaped) {
    PerProcess parts(2, sizeof(Number));
    own(parts) = 3;
    parts.reap_ended();
    parts.reap(1);  // has no slot
    ck_assert(seen(parts) == (std::map<pid_t, int>{{::getpid(), 3}}));
}
END_TEST

START_TEST(a_part_that_is_not_wiped_keeps_what_is_left_in_it) {
    PerProcess parts(1, sizeof(Number));
    const auto used = [&] {
        std::vector<int> numbers;
        parts.for_each_used(
            [&](const void* part) { numbers.push_back(static_cast<const Number*>(part)->load()); });
        return numbers;
    };
    ck_assert(used().empty());
    const pid_t child = write_in_child(parts, 5);
    ck_assert(used() == std::vector{5});
    reap(child);
    parts.reap(child, [](void* part) { ++*static_cast<Number*>(part); });
    parts.reap_ended();  // nothing to do
    ck_assert(seen(parts).empty());
    ck_assert(used() == std::vector{6});
    ck_assert_int_eq(own(parts), 6);
    ck_assert(parts.shares());
    parts.reap(::getpid());
    ck_assert(used() == std::vector{0});
}
END_TEST

WEBSOCKET_TEST_SUITE(per_process) {
    tcase_add_test(tests, a_part_holds_zeros_and_is_the_same_for_all_threads);
    tcase_add_test(tests, threads_that_begin_together_get_one_part);
    tcase_add_test(tests, what_a_process_wrote_stays_until_it_is_reaped);
    tcase_add_test(tests, a_part_is_clean_for_the_next_process);
    tcase_add_test(tests, a_process_without_a_slot_is_alone_and_others_do_not_see_it);
    tcase_add_test(tests, a_part_that_is_not_wiped_keeps_what_is_left_in_it);
    tcase_add_test(tests, living_processes_are_not_reaped);
}
