// SPDX-License-Identifier: Apache-2.0
#include "httpd/takeover/pump_slots.hpp"

#include <apr_general.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>
#include <vector>

#include "unit.hpp"

using websocket::httpd::PumpSlot;
using websocket::httpd::PumpSlots;

namespace {

apr_pool_t* pool = nullptr;

void make_pool() {
    apr_initialize();
    apr_pool_create(&pool, nullptr);
}

void destroy_pool() {
    apr_pool_destroy(pool);
    apr_terminate();
}

/// What `work` returns, in a child process.
template <class Work>
int in_child(Work work) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::_exit(work());
    }
    int status = 0;
    ck_assert_int_eq(::waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

START_TEST(gives_as_many_slots_as_there_are) {
    const PumpSlots slots(pool, 3, PumpSlots::For::each_process);
    ck_assert_uint_eq(slots.count(), 3);
    std::vector<PumpSlot> taken;
    for (int i = 0; i < 3; ++i) {
        auto slot = slots.take();
        ck_assert(slot.has_value());
        taken.push_back(std::move(*slot));
    }
    ck_assert(!slots.take().has_value());
    taken.pop_back();
    ck_assert(slots.take().has_value());  // and gives it back at once
    ck_assert(slots.take().has_value());
}
END_TEST

START_TEST(no_slots_are_none) {
    ck_assert(!PumpSlots().take().has_value());
    ck_assert(!PumpSlots(pool, 0, PumpSlots::For::all_processes).take().has_value());
}
END_TEST

START_TEST(each_child_has_its_own) {
    const PumpSlots slots(pool, 1, PumpSlots::For::each_process);
    const auto ours = slots.take();
    ck_assert(ours.has_value());
    // Taken by a process that lives, as far as the copy in the child knows.
    const PumpSlots others(pool, 1, PumpSlots::For::each_process);
    ck_assert_int_eq(in_child([&] { return others.take().has_value() ? 1 : 0; }), 1);
    ck_assert_int_eq(in_child([&] {
                         const auto theirs = others.take();
                         return theirs.has_value() && !others.take().has_value() ? 1 : 0;
                     }),
                     1);
    ck_assert(others.take().has_value());
}
END_TEST

START_TEST(all_children_share) {
    const PumpSlots slots(pool, 1, PumpSlots::For::all_processes);
    {
        const auto ours = slots.take();
        ck_assert_int_eq(in_child([&] { return slots.take().has_value() ? 1 : 0; }), 0);
    }
    ck_assert_int_eq(in_child([&] { return slots.take().has_value() ? 1 : 0; }), 1);
}
END_TEST

START_TEST(a_child_that_died_with_its_slot_does_not_keep_it) {
    const PumpSlots slots(pool, 1, PumpSlots::For::all_processes);
    ck_assert_int_eq(in_child([&] {
                         auto* kept = new std::optional<PumpSlot>(slots.take());
                         return kept->has_value() ? 1 : 0;
                     }),
                     1);
    ck_assert(slots.take().has_value());
}
END_TEST

START_TEST(the_parent_frees_the_slots_of_a_child_whose_end_it_is_told) {
    const PumpSlots slots(pool, 1, PumpSlots::For::all_processes);
    const pid_t child = ::fork();
    if (child == 0) {
        static_cast<void>(new std::optional<PumpSlot>(slots.take()));
        ::_exit(0);
    }
    siginfo_t ended{};
    ck_assert_int_eq(::waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOWAIT), 0);
    ck_assert(!slots.take().has_value());  // there is still a process with this number
    slots.reap(child);
    ck_assert(slots.take().has_value());
    ck_assert_int_eq(::waitpid(child, nullptr, 0), child);
}
END_TEST

WEBSOCKET_TEST_SUITE(pump_slots) {
    tcase_add_checked_fixture(tests, make_pool, destroy_pool);
    tcase_add_test(tests, gives_as_many_slots_as_there_are);
    tcase_add_test(tests, no_slots_are_none);
    tcase_add_test(tests, each_child_has_its_own);
    tcase_add_test(tests, all_children_share);
    tcase_add_test(tests, a_child_that_died_with_its_slot_does_not_keep_it);
    tcase_add_test(tests, the_parent_frees_the_slots_of_a_child_whose_end_it_is_told);
}
