// SPDX-License-Identifier: Apache-2.0
#include "shm/shared_figures.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "shm/killed_processes.hpp"
#include "unit.hpp"

using websocket::shm::SharedFigures;
using websocket::test::killed_child;
using Figure = SharedFigures::Figure;
using Figures = std::vector<Figure>;
using Kind = SharedFigures::Kind;

namespace {

constexpr Kind kCounter = Kind::counter;
constexpr Kind kGauge = Kind::gauge;

void add(SharedFigures& figures, std::string_view name, Kind kind, std::int64_t amount) {
    SharedFigures::Value* value = figures.find_or_add(name, kind);
    if (value == nullptr) ::abort();  // also in a child
    value->fetch_add(amount);
}

}  // namespace

START_TEST(what_all_processes_count_is_summed_by_name) {
    SharedFigures figures(5);
    ck_assert(figures.read().empty());
    for (const int amount : {1, 20}) {
        killed_child([&] {
            add(figures, "b", kCounter, amount);
            add(figures, "a", kGauge, -amount);
        });
    }
    add(figures, "a", kGauge, 300);
    add(figures, std::string_view("\0", 1), kCounter, 1);
    ck_assert(
        figures.read() ==
        (Figures{{std::string(1, '\0'), kCounter, 1}, {"a", kGauge, 279}, {"b", kCounter, 21}}));
}
END_TEST

START_TEST(counters_of_an_ended_process_are_kept_and_gauges_are_not) {
    SharedFigures figures(2);
    for (int round = 1; round <= 10; ++round) {  // its row is used again
        figures.reap(killed_child([&] {
            add(figures, "counter", kCounter, 7);
            add(figures, "gauge", kGauge, 9);
        }));
        ck_assert(figures.read() ==
                  (Figures{{"counter", kCounter, 7 * round}, {"gauge", kGauge, 0}}));
    }
    figures.reap(1);  // had none
    killed_child([&] { add(figures, "counter", kCounter, 1); });
    figures.reap_ended();
    ck_assert(figures.read() == (Figures{{"counter", kCounter, 71}, {"gauge", kGauge, 0}}));
}
END_TEST

START_TEST(a_name_is_of_one_kind_and_at_the_same_place) {
    SharedFigures figures(1);
    SharedFigures::Value* value = figures.find_or_add("a", kCounter);
    ck_assert(value != nullptr && figures.find_or_add("a", kCounter) == value);
    ck_assert(figures.find_or_add("a", kGauge) == nullptr);
    ck_assert(figures.find_or_add(std::string(SharedFigures::kLongestName, 'x'), kGauge) !=
              nullptr);
    ck_assert(figures.find_or_add(std::string(SharedFigures::kLongestName + 1, 'x'), kGauge) ==
              nullptr);
}
END_TEST

START_TEST(their_number_is_bounded) {
    SharedFigures figures(1);
    for (std::size_t i = 0; i < SharedFigures::kMost; ++i) {
        ck_assert(figures.find_or_add(std::to_string(i), kCounter) != nullptr);
    }
    ck_assert(figures.find_or_add("one more", kCounter) == nullptr);
    ck_assert(figures.find_or_add("7", kCounter) != nullptr);
    ck_assert_uint_eq(figures.read().size(), SharedFigures::kMost);
}
END_TEST

START_TEST(processes_that_add_names_at_the_same_time_lose_nothing) {
    constexpr int kProcesses = 4;
    constexpr int kNames = 100;
    SharedFigures figures(kProcesses);
    std::vector<pid_t> children;
    for (int process = 0; process < kProcesses; ++process) {
        const pid_t child = ::fork();
        if (child == 0) {
            for (int i = 0; i < kNames; ++i) add(figures, std::to_string(i), kCounter, 1);
            ::_exit(0);
        }
        children.push_back(child);
    }
    for (const pid_t child : children) {
        ck_assert_int_eq(::waitpid(child, nullptr, 0), child);
        figures.reap(child);
    }
    const Figures all = figures.read();
    ck_assert_uint_eq(all.size(), kNames);
    for (const Figure& figure : all) ck_assert_int_eq(figure.value, kProcesses);
}
END_TEST

START_TEST(a_process_for_which_no_row_is_left_counts_nothing_here_and_sees_the_others) {
    SharedFigures figures(1);
    const pid_t child = killed_child([&] { add(figures, "a", kCounter, 1); });
    ck_assert(figures.find_or_add("a", kCounter) == nullptr);
    ck_assert(figures.find_or_add("b", kCounter) == nullptr);
    ck_assert(figures.read() == (Figures{{"a", kCounter, 1}}));
    figures.reap(child);
    ck_assert(figures.read() == (Figures{{"a", kCounter, 1}}));
}
END_TEST

START_TEST(a_sum_that_does_not_fit_is_no_error) {
    SharedFigures figures(3);
    for (int i = 0; i < 2; ++i) {
        killed_child([&] { add(figures, "a", kGauge, INT64_MAX); });
    }
    add(figures, "a", kGauge, 2);
    ck_assert(figures.read() == (Figures{{"a", kGauge, 0}}));
}
END_TEST

START_TEST(a_counter_never_goes_back_while_a_process_is_forgotten) {
    SharedFigures figures(2);
    std::atomic<bool> over{false};
    bool fell = false;
    std::thread reader([&] {
        for (std::int64_t last = 0; !over;) {
            const Figures all = figures.read();
            const std::int64_t now = all.empty() ? 0 : all[0].value;
            fell = fell || now < last;
            last = now;
        }
    });
    for (int round = 0; round < 50; ++round) {
        figures.reap(killed_child([&] { add(figures, "counter", kCounter, 1000); }));
    }
    over = true;
    reader.join();
    ck_assert(!fell);
    ck_assert(figures.read() == (Figures{{"counter", kCounter, 50000}}));
}
END_TEST

WEBSOCKET_TEST_SUITE(shared_figures) {
    tcase_add_test(tests, what_all_processes_count_is_summed_by_name);
    tcase_add_test(tests, counters_of_an_ended_process_are_kept_and_gauges_are_not);
    tcase_add_test(tests, a_name_is_of_one_kind_and_at_the_same_place);
    tcase_add_test(tests, their_number_is_bounded);
    tcase_add_test(tests, processes_that_add_names_at_the_same_time_lose_nothing);
    tcase_add_test(tests,
                   a_process_for_which_no_row_is_left_counts_nothing_here_and_sees_the_others);
    tcase_add_test(tests, a_sum_that_does_not_fit_is_no_error);
    tcase_add_test(tests, a_counter_never_goes_back_while_a_process_is_forgotten);
}
