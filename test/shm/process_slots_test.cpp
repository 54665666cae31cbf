// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "shm/process_slots.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstring>
#include <functional>
#include <set>
#include <vector>

#include "shm/killed_processes.hpp"
#include "shm/mapping.hpp"
#include "unit.hpp"

using websocket::shm::Mapping;
using websocket::shm::Owner;
using websocket::shm::ProcessSlots;
using websocket::test::killed_child;
using websocket::test::kStepsInstructions;
using websocket::test::SteppedProcess;

namespace {

constexpr auto kNoTidying = [](std::uint32_t /*slot*/) {};

/// A table in shared memory.
struct Table {
    explicit Table(std::uint32_t count)
        : memory(ProcessSlots::bytes(count)), slots(memory.data(), count) {}
    Mapping memory;
    ProcessSlots slots;
};

/// How many slots can be claimed; they are free again.
std::size_t free_slots(const ProcessSlots& slots) {
    std::vector<ProcessSlots::Claim> claims;
    while (const auto claim = slots.claim()) claims.push_back(*claim);
    for (const auto& claim : claims) slots.release(claim);
    return claims.size();
}

pid_t start_child(const std::function<void()>& work) {
    const pid_t child = ::fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        work();
        ::_exit(0);
    }
    return child;
}

void wait_for(pid_t child) { ck_assert_int_eq(::waitpid(child, nullptr, 0), child); }

}  // namespace

START_TEST(a_slot_has_one_owner_until_it_is_released) {
    const Table table(2);
    ck_assert_uint_eq(table.slots.used(), 0);
    const auto first = table.slots.claim();
    const auto second = table.slots.claim();
    ck_assert(first && second && first->slot == 0 && second->slot == 1);
    ck_assert_uint_eq(table.slots.used(), 2);
    ck_assert_int_eq(table.slots.owner(1).process(), ::getpid());
    ck_assert(!table.slots.claim());
    table.slots.release(*first);
    ck_assert(table.slots.owner(0).is_free());
    table.slots.release(*first);  // does nothing
    const auto third = table.slots.claim();
    ck_assert(third && third->slot == 0);
    table.slots.release(*first);  // nor does this
    ck_assert(table.slots.owner(0) == third->owner);
    ck_assert_uint_eq(table.slots.used(), 2);
}
END_TEST

START_TEST(a_table_without_slots_has_none_to_claim) {
    const ProcessSlots none;
    ck_assert(!none.claim());
    ck_assert_uint_eq(none.used(), 0);
    none.reap(::getpid(), kNoTidying);
    none.reap_ended(kNoTidying);
}
END_TEST

START_TEST(a_full_table_is_full_for_all_processes_until_an_owner_is_gone) {
    const Table table(3);
    const pid_t ended = killed_child([&] {
        while (table.slots.claim()) {
        }
    });
    ck_assert_uint_eq(table.slots.used(), 3);
    ck_assert(!table.slots.claim());
    table.slots.reap(1, kNoTidying);  // has none
    table.slots.reap(0, kNoTidying);  // is nobody
    ck_assert(!table.slots.claim());
    std::set<std::uint32_t> tidied;
    table.slots.reap(ended, [&](std::uint32_t slot) { tidied.insert(slot); });
    ck_assert(tidied == (std::set<std::uint32_t>{0, 1, 2}));
    ck_assert_uint_eq(free_slots(table.slots), 3);
}
END_TEST

START_TEST(who_finds_that_owners_are_gone_frees_their_slots_and_no_others) {
    const Table table(3);
    killed_child([&] { static_cast<void>(table.slots.claim()); });
    const auto own = table.slots.claim();
    killed_child([&] { static_cast<void>(table.slots.claim()); });
    ck_assert_uint_eq(free_slots(table.slots), 0);
    table.slots.reap_ended(kNoTidying);
    ck_assert_uint_eq(free_slots(table.slots), 2);
    ck_assert(table.slots.owner(own->slot) == own->owner);
}
END_TEST

START_TEST(a_process_does_not_get_the_slots_of_an_earlier_one_with_its_number) {
    const Table table(2);
    const Owner earlier = Owner::self() != Owner(::getpid(), 1)
                              ? Owner(::getpid(), 1)  // began then
                              : Owner(::getpid(), 2);
    ck_assert(table.slots.claim(earlier).has_value());
    const auto own = table.slots.claim();
    table.slots.reap_ended(kNoTidying);
    ck_assert(table.slots.owner(0).is_free());
    ck_assert(table.slots.owner(1) == own->owner);
}
END_TEST

START_TEST(
    a_parent_that_is_told_late_reaps_what_the_ended_process_had_and_not_what_others_have_now) {
    const Table table(1);
    const pid_t ended = killed_child([&] { static_cast<void>(table.slots.claim()); });
    const Owner seen = table.slots.owner(0);
    // Somebody else has found it meanwhile, and the slot belongs to another process.
    table.slots.reap_ended(kNoTidying);
    const auto own = table.slots.claim();
    int tidied = 0;
    const auto tidy = [&](std::uint32_t /*slot*/) { ++tidied; };
    ck_assert(!table.slots.reap(0, seen, tidy));
    table.slots.reap(ended, tidy);
    ck_assert_int_eq(tidied, 0);
    ck_assert(table.slots.owner(0) == own->owner);
}
END_TEST

START_TEST(a_slot_that_its_owner_has_claimed_again_is_not_reaped_for_an_earlier_claim) {
    const Table table(1);
    const auto first = table.slots.claim();
    table.slots.release(*first);
    const auto second = table.slots.claim();
    ck_assert(first->owner != second->owner);
    ck_assert(!table.slots.reap(0, first->owner, kNoTidying));
    ck_assert(table.slots.owner(0) == second->owner);
}
END_TEST

START_TEST(nobody_has_a_slot_while_it_is_tidied) {
    const Table table(1);
    const pid_t ended = killed_child([&] { static_cast<void>(table.slots.claim()); });
    int tidied = 0;
    table.slots.reap(ended, [&](std::uint32_t slot) {
        ++tidied;
        ck_assert(!table.slots.claim());
        ck_assert(!table.slots.owner(slot).is_claimed());
        table.slots.reap(ended, [&](std::uint32_t /*slot*/) { ++tidied; });
        table.slots.reap_ended([&](std::uint32_t /*slot*/) { ++tidied; });
    });
    ck_assert_int_eq(tidied, 1);
    ck_assert(table.slots.claim().has_value());
}
END_TEST

START_TEST(a_slot_whose_reaper_is_killed_is_tidied_by_the_next) {
    const Table table(1);
    const pid_t ended = killed_child([&] { static_cast<void>(table.slots.claim()); });
    const pid_t reaper = killed_child(
        [&] { table.slots.reap(ended, [](std::uint32_t /*slot*/) { ::raise(SIGKILL); }); });
    ck_assert(!table.slots.claim());
    int tidied = 0;
    table.slots.reap(ended, [&](std::uint32_t /*slot*/) { ++tidied; });
    ck_assert_int_eq(tidied, 0);  // it is the reaper's now
    table.slots.reap(reaper, [&](std::uint32_t /*slot*/) { ++tidied; });
    ck_assert_int_eq(tidied, 1);
    ck_assert(table.slots.claim().has_value());
}
END_TEST

START_TEST(a_slot_that_is_kept_has_no_owner_and_is_never_free) {
    const Table table(2);
    const pid_t ended = killed_child([&] { table.slots.keep(*table.slots.claim()); });
    ck_assert(table.slots.owner(0).is_kept());
    table.slots.reap(ended, kNoTidying);
    table.slots.reap_ended(kNoTidying);
    ck_assert(table.slots.owner(0).is_kept());
    ck_assert_uint_eq(free_slots(table.slots), 1);
}
END_TEST

START_TEST(of_processes_that_race_for_the_last_slot_one_gets_it) {
    constexpr int kRounds = 20'000;
    constexpr int kProcesses = 3;
    struct Shared {
        std::atomic<int> holders;
        std::atomic<int> got;
        std::atomic<int> lost;
        std::atomic<int> together;
    };
    const Mapping memory(sizeof(Shared));
    auto& shared = *static_cast<Shared*>(memory.data());
    const Table table(2);
    ck_assert(table.slots.claim().has_value());
    std::vector<pid_t> children;
    for (int process = 0; process < kProcesses; ++process) {
        children.push_back(start_child([&] {
            const Owner self = Owner::self();
            for (int i = 0; i < kRounds; ++i) {
                if (const auto claim = table.slots.claim(self)) {
                    shared.together += shared.holders++ == 0 ? 0 : 1;
                    --shared.holders;
                    table.slots.release(*claim);
                    ++shared.got;
                } else {
                    ++shared.lost;
                }
            }
        }));
    }
    for (const pid_t child : children) wait_for(child);
    ck_assert_int_eq(shared.together, 0);
    ck_assert_int_eq(shared.got + shared.lost, kProcesses * kRounds);
    ck_assert_int_gt(shared.got, 0);
    ck_assert_uint_eq(free_slots(table.slots), 1);
}
END_TEST

START_TEST(processes_that_reap_at_the_same_time_tidy_once) {
    constexpr std::uint32_t kSlots = 500;
    const Table table(kSlots);
    const Mapping counts(kSlots * sizeof(std::atomic<int>));
    auto* const tidied = static_cast<std::atomic<int>*>(counts.data());
    const pid_t ended = killed_child([&] {
        const Owner self = Owner::self();
        while (table.slots.claim(self)) {
        }
    });
    std::vector<pid_t> children;
    for (int process = 0; process < 3; ++process) {
        children.push_back(start_child(
            [&] { table.slots.reap(ended, [&](std::uint32_t slot) { ++tidied[slot]; }); }));
    }
    for (const pid_t child : children) wait_for(child);
    for (std::uint32_t slot = 0; slot < kSlots; ++slot) ck_assert_int_eq(tidied[slot], 1);
    ck_assert_uint_eq(free_slots(table.slots), kSlots);
}
END_TEST

/// At each instruction, what a killed process would leave is put in order by those who are told.
START_TEST(a_process_that_is_killed_at_any_instruction_leaves_slots_that_are_reaped) {
    constexpr std::uint32_t kSlots = 4;
    const Table table(kSlots);
    const auto parents = table.slots.claim();
    const pid_t ended = killed_child([&] { static_cast<void>(table.slots.claim()); });
    alignas(64) std::array<char, ProcessSlots::bytes(kSlots)> memory{};
    const ProcessSlots copy(memory.data(), kSlots);
    static_cast<void>(Owner::self());  // calls for the first time what the child calls
    SteppedProcess child([&] {
        const auto first = table.slots.claim();
        const auto second = table.slots.claim();
        table.slots.release(*first);
        table.slots.reap(ended, kNoTidying);
        static_cast<void>(table.slots.claim());
        table.slots.release(*second);
    });
    std::set<Owner::Word> seen;
    do {
        std::memcpy(memory.data(), table.memory.data(), memory.size());
        for (std::uint32_t slot = 0; slot < kSlots; ++slot) seen.insert(copy.owner(slot).word());
        copy.reap(child.pid(), kNoTidying);
        copy.reap(ended, kNoTidying);
        ck_assert(copy.owner(parents->slot) == parents->owner);
        for (std::uint32_t slot = 1; slot < kSlots; ++slot) ck_assert(copy.owner(slot).is_free());
    } while (child.step());
    // Never claimed; the parent's; the ended one's, and that while the child reaped it; free after one claim;
    // the child's first claim of a slot, and its second.
    ck_assert_uint_eq(seen.size(), 7);
}
END_TEST

WEBSOCKET_TEST_SUITE(process_slots) {
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, a_slot_has_one_owner_until_it_is_released);
    tcase_add_test(tests, a_table_without_slots_has_none_to_claim);
    tcase_add_test(tests, a_full_table_is_full_for_all_processes_until_an_owner_is_gone);
    tcase_add_test(tests, who_finds_that_owners_are_gone_frees_their_slots_and_no_others);
    tcase_add_test(tests, a_process_does_not_get_the_slots_of_an_earlier_one_with_its_number);
    tcase_add_test(
        tests,
        a_parent_that_is_told_late_reaps_what_the_ended_process_had_and_not_what_others_have_now);
    tcase_add_test(tests,
                   a_slot_that_its_owner_has_claimed_again_is_not_reaped_for_an_earlier_claim);
    tcase_add_test(tests, nobody_has_a_slot_while_it_is_tidied);
    tcase_add_test(tests, a_slot_whose_reaper_is_killed_is_tidied_by_the_next);
    tcase_add_test(tests, a_slot_that_is_kept_has_no_owner_and_is_never_free);
    tcase_add_test(tests, of_processes_that_race_for_the_last_slot_one_gets_it);
    tcase_add_test(tests, processes_that_reap_at_the_same_time_tidy_once);
    if (kStepsInstructions) {
        tcase_add_test(tests,
                       a_process_that_is_killed_at_any_instruction_leaves_slots_that_are_reaped);
    }
}
