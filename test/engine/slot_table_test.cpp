// SPDX-License-Identifier: Apache-2.0
#include "engine/slot_table.hpp"

#include <atomic>
#include <memory>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "engine/awaiting.hpp"
#include "failing_allocator.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::engine::Channel;
using websocket::engine::ConnectionId;
using websocket::engine::Slot;
using websocket::engine::SlotTable;

START_TEST(slots_that_were_never_taken_do_not_exist) {
    SlotTable table;
    ck_assert_ptr_null(table.find(0));
    ck_assert_ptr_null(table.find(ConnectionId::kMaxSlots - 1));
    ck_assert_ptr_null(table.find(ConnectionId::kMaxSlots));
    ck_assert_ptr_null(table.find(0xFFFF'FFFF));
}
END_TEST

START_TEST(every_taken_slot_is_another_one_at_a_place_that_never_moves) {
    SlotTable table;
    std::set<std::uint32_t> taken;
    std::vector<Slot*> places;
    for (int i = 0; i < 5000; ++i) {
        const auto index = table.take();
        ck_assert(index.has_value());
        if (!taken.insert(*index).second) ck_abort_msg("slot %u twice", *index);
        places.push_back(table.find(*index));
        if (places.back() == nullptr) ck_abort_msg("slot %u is missing", *index);
    }
    std::set<Slot*> distinct(places.begin(), places.end());
    ck_assert_uint_eq(distinct.size(), places.size());
    table.give_back(4711);
    ck_assert_uint_eq(table.take().value_or(0), 4711);
}
END_TEST

START_TEST(ends_at_the_last_slot_and_goes_on_when_one_is_free) {
    auto table = std::make_unique<SlotTable>();
    for (std::uint32_t i = 0; i < ConnectionId::kMaxSlots; ++i) {
        if (!table->take()) ck_abort_msg("only %u slots", i);
    }
    ck_assert(!table->take());
    table->give_back(77);
    ck_assert_uint_eq(table->take().value_or(0), 77);
    ck_assert(!table->take());
}
END_TEST

START_TEST(visits_exactly_those_that_are_served) {
    SlotTable table;
    std::set<Channel*> served;
    for (int i = 0; i < 3000; ++i) {
        Slot* slot = table.find(table.take().value_or(0));
        if (i % 1000 == 7) {
            slot->channel = reinterpret_cast<Channel*>(slot);  // just an address
            served.insert(slot->channel);
        }
    }
    std::set<Channel*> visited;
    table.for_each([&](Channel& channel) { visited.insert(&channel); });
    ck_assert(visited == served);
}
END_TEST

START_TEST(visits_some_at_a_time_and_goes_on_where_it_stopped) {
    SlotTable table;
    std::vector<Channel*> served;
    for (int i = 0; i < 2000; ++i) {
        Slot* slot = table.find(table.take().value_or(0));
        if (i % 500 == 7) {
            slot->channel = reinterpret_cast<Channel*>(slot);  // just an address
            served.push_back(slot->channel);
        }
    }
    std::vector<Channel*> visited;
    std::uint32_t cursor = 0;
    int steps = 1;
    while (table.for_some(cursor, 100, [&](Channel& channel) {
        visited.push_back(&channel);
        return true;
    })) {
        ck_assert_uint_eq(cursor, 100U * static_cast<unsigned>(steps++));
    }
    ck_assert_int_eq(steps, 21);  // there are two chunks of 1024
    ck_assert(visited == served);

    cursor = 0;
    for (Channel* expected : served) {
        bool first = true;
        const bool more = table.for_some(cursor, 5000, [&](Channel& channel) {
            if (first) ck_assert_ptr_eq(&channel, expected);
            return std::exchange(first, false);
        });
        ck_assert(!more);
    }
}
END_TEST

START_TEST(a_failing_allocation_loses_no_slot) {
    SlotTable table;
    const std::size_t failures =
        fail_each_allocation([&] { static_cast<void>(table.take()); }, [](bool) {});
    ck_assert_uint_gt(failures, 0);
    for (std::uint32_t i = 1; i < 1024; ++i) ck_assert_uint_lt(table.take().value_or(9999), 1024);
}
END_TEST

START_TEST(threads_never_share_a_slot) {
    SlotTable table;
    std::vector<std::thread> threads;
    std::vector<std::atomic<int>> users(8192);
    std::atomic<bool> shared{false};
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            std::vector<std::uint32_t> mine;
            for (int round = 0; round < 5000; ++round) {
                const std::uint32_t index = table.take().value_or(0);
                if (users[index].fetch_add(1) != 0) shared = true;
                static_cast<void>(table.find(index)->gate.generation());
                mine.push_back(index);
                if (round % 3 == 0) continue;
                users[mine.back()].fetch_sub(1);
                table.give_back(mine.back());
                mine.pop_back();
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    ck_assert(!shared);
}
END_TEST

WEBSOCKET_TEST_SUITE(slot_table) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, slots_that_were_never_taken_do_not_exist);
    tcase_add_test(tests, every_taken_slot_is_another_one_at_a_place_that_never_moves);
    // A million of them, in one thread.
    if (!kThreadSanitizer) {
        tcase_add_test(tests, ends_at_the_last_slot_and_goes_on_when_one_is_free);
    }
    tcase_add_test(tests, visits_exactly_those_that_are_served);
    tcase_add_test(tests, visits_some_at_a_time_and_goes_on_where_it_stopped);
    tcase_add_test(tests, a_failing_allocation_loses_no_slot);
    tcase_add_test(tests, threads_never_share_a_slot);
}
