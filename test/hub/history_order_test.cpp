// SPDX-License-Identifier: Apache-2.0
// Histories whose positions a broker gives.
// One thread: nothing to see for ThreadSanitizer.
#include <sys/wait.h>
#include <unistd.h>

#include <optional>

#include "hub/history_memory.hpp"
#include "shm/killed_processes.hpp"

using namespace websocket::test;
using websocket::hub::OrderState;
using websocket::hub::Origin;
using websocket::hub::origin_of;
using websocket::hub::Placed;

namespace {

constexpr std::uint64_t kEpoch = 77;

struct OrderedMemory : HistoryMemory {
    using HistoryMemory::HistoryMemory;

    Placed place(const Position& at, std::string_view message, HistoryStore::Time published = 0ms) {
        return store.append_at(history_topic("t"), limits,
                               {.at = at,
                                .opcode = Opcode::text,
                                .payload = text_bytes(message),
                                .fields = {},
                                .origin = {5, 6},
                                .published = published,
                                .broker_time = 1000 + static_cast<std::int64_t>(at.offset)},
                               published);
    }
    Placed place(std::uint64_t offset, std::string_view message) {
        return place(Position{kEpoch, offset}, message);
    }
    OrderState state() { return store.order_of(history_topic("t")).value(); }
    Position top() { return store.top(history_topic("t"), limits, 0ms).value(); }
};

}  // namespace

START_TEST(a_topic_that_nobody_knows_has_no_order) {
    OrderedMemory memory;
    ck_assert(!memory.state().is_ordered && !memory.state().last);
    memory.publish("t", "here");
    ck_assert(!memory.state().is_ordered && !memory.state().last);
}
END_TEST

START_TEST(messages_with_positions_are_kept_once_and_with_their_origin) {
    OrderedMemory memory;
    ck_assert(memory.place(1, "1") == Placed::kept);
    ck_assert(memory.place(2, "2") == Placed::kept);
    ck_assert(memory.place(2, "2 again") == Placed::known);
    ck_assert(memory.place(1, "1 again") == Placed::known);
    expect_texts(memory.all("t"), "1,2");
    ck_assert(memory.top() == (Position{kEpoch, 2}));
    ck_assert(origin_of(memory.read("t", {}).frames[0]) == (Origin{5, 6}));
    const OrderState state = memory.state();
    ck_assert(state.is_ordered && state.last == (Position{kEpoch, 2}) && state.broker_time == 1002);
}
END_TEST

START_TEST(who_comes_from_before_a_hole_does_not_recover) {
    OrderedMemory memory;
    memory.place(1, "1");
    ck_assert(memory.place(4, "4") == Placed::kept);
    memory.place(5, "5");
    expect_texts(memory.all("t"), "4,5");
    ck_assert(!memory.read("t", {.since = {kEpoch, 1}}).complete);
    ck_assert(!memory.read("t", {.since = {kEpoch, 2}}).complete);
    const HistoryExcerpt found = memory.read("t", {.since = {kEpoch, 3}});
    ck_assert(found.complete);
    expect_texts(memory.texts(found), "4,5");
}
END_TEST

START_TEST(a_message_of_this_host_begins_an_epoch_of_its_own_that_remembers_the_brokers) {
    OrderedMemory memory;
    memory.place(1, "1");
    memory.place(2, "2");
    const Position local = memory.publish("t", "local");
    ck_assert(local.epoch != kEpoch && local.offset == 1);
    expect_texts(memory.all("t"), "local");
    ck_assert(!memory.state().is_ordered && memory.state().last == (Position{kEpoch, 2}));
    ck_assert_int_eq(memory.state().broker_time, 1002);
    ck_assert(memory.publish("t", "more") == (Position{local.epoch, 2}));
    ck_assert(memory.state().last == (Position{kEpoch, 2}));
    ck_assert(!memory.read("t", {.since = {kEpoch, 2}}).complete);
}
END_TEST

START_TEST(another_epoch_takes_the_place_of_what_was_there) {
    OrderedMemory memory;
    memory.publish("t", "local");
    ck_assert(memory.place(7, "7") == Placed::kept);
    expect_texts(memory.all("t"), "7");
    ck_assert(memory.store.start_of(history_topic("t")) == (Position{kEpoch, 6}));
    ck_assert(memory.place(Position{kEpoch + 1, 1}, "new") == Placed::kept);
    expect_texts(memory.all("t"), "new");
    ck_assert(memory.store.start_of(history_topic("t")) == (Position{kEpoch + 1, 0}));
    ck_assert(!memory.read("t", {.since = {kEpoch, 7}}).complete);
}
END_TEST

START_TEST(an_epoch_that_is_filled_later_counts_as_seen_up_to_where_it_was) {
    OrderedMemory memory;
    memory.publish("t", "local");
    ck_assert(memory.store.begin_epoch(history_topic("t"), {kEpoch, 2}, 4, 1004));
    ck_assert(memory.top() == (Position{kEpoch, 4}));
    ck_assert(memory.store.start_of(history_topic("t")) == (Position{kEpoch, 4}));
    memory.place(3, "3");
    const HistoryExcerpt early = memory.read("t", {.since = {kEpoch, 2}});
    ck_assert(!early.complete && early.top == (Position{kEpoch, 4}));
    memory.place(4, "4");
    memory.place(5, "5");
    ck_assert(memory.store.start_of(history_topic("t")) == (Position{kEpoch, 4}));
    const HistoryExcerpt found = memory.read("t", {.since = {kEpoch, 2}});
    ck_assert(found.complete);
    expect_texts(memory.texts(found), "3,4,5");
}
END_TEST

START_TEST(ordered_messages_expire_by_when_they_were_published) {
    OrderedMemory memory;
    memory.place({kEpoch, 1}, "old", 1s);
    memory.place({kEpoch, 2}, "new", 5s);
    expect_texts(memory.texts(memory.read("t", {}, 12s)), "new");
}
END_TEST

START_TEST(a_topic_of_a_full_memory_takes_no_epoch_that_it_has_no_room_for) {
    OrderedMemory memory(HistoryStore::kLeast);
    memory.limits = {100'000, 1h};
    for (int i = 0; i < 1000; ++i) memory.publish("loud", std::string(1000, 'x'));
    for (unsigned i = 1; i < 50; ++i)
        ck_assert(memory.place(i, std::string(500, 'y')) == Placed::kept);
    ck_assert(memory.place(50, std::string(HistoryStore::kLeast, 'z')) == Placed::kept);
    ck_assert(memory.top() == (Position{kEpoch, 50}));
    ck_assert(!memory.read("t", {.since = {kEpoch, 49}}).complete);
    ck_assert(memory.place(51, "51") == Placed::kept);
    expect_texts(memory.all("t"), "51");
}
END_TEST

START_TEST(another_process_finds_the_memory_by_its_file) {
    OrderedMemory memory;
    memory.place(1, "1");
    const auto same = HistoryStore::open(memory.store.file());
    ck_assert(same.has_value());
    HistoryStore other = *same;
    ck_assert(other.top(history_topic("t"), memory.limits, 0ms) == (Position{kEpoch, 1}));
    ::munmap(other.memory(), other.bytes());
}
END_TEST

START_TEST(a_process_that_is_killed_while_epochs_change_leaves_one_of_them_whole) {
    int killed = 0;
    for (std::uint64_t instruction = 1;; instruction += 1 + instruction / 8) {
        OrderedMemory memory(HistoryStore::kLeast);
        memory.limits = {20, 1h};
        for (int i = 0; i < 25; ++i) memory.publish("full", std::string(2500, 'x'));
        for (unsigned i = 1; i <= 3; ++i) memory.place(i, std::string(600, 'a'));
        bool done = false;
        {
            SteppedProcess process([&] {
                memory.place(4, std::string(600, 'b'));
                memory.publish("t", "local");
                static_cast<void>(
                    memory.store.begin_epoch(history_topic("t"), {kEpoch, 3}, 5, 1005));
                memory.place(4, "4");
                memory.place(Position{kEpoch + 1, 1}, "new");
            });
            for (std::uint64_t i = 0; i < instruction && !done; ++i) done = !process.step();
        }
        const HistoryExcerpt all = memory.read("t", {});
        const Position start = memory.store.start_of(history_topic("t")).value();
        ck_assert(start.epoch == all.top.epoch && all.frames.size() <= 20);
        std::uint64_t next = all.frames.empty() ? 0 : position_of(all.frames[0]).offset;
        for (const SharedFrame& frame : all.frames) {
            ck_assert(position_of(frame) == (Position{all.top.epoch, next++}));
        }
        if (all.top.epoch == kEpoch) ck_assert_uint_ge(all.top.offset, 3);
        ck_assert(memory.place(Position{kEpoch + 2, 1}, "after") == Placed::kept);
        ck_assert(memory.place(Position{kEpoch + 2, 2}, "after it") == Placed::kept);
        expect_texts(memory.all("t"), "after,after it");
        if (done) break;
        ++killed;
    }
    ck_assert_int_gt(killed, 30);
}
END_TEST

WEBSOCKET_TEST_SUITE(history_order) {
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, a_topic_that_nobody_knows_has_no_order);
    tcase_add_test(tests, messages_with_positions_are_kept_once_and_with_their_origin);
    tcase_add_test(tests, who_comes_from_before_a_hole_does_not_recover);
    tcase_add_test(tests,
                   a_message_of_this_host_begins_an_epoch_of_its_own_that_remembers_the_brokers);
    tcase_add_test(tests, another_epoch_takes_the_place_of_what_was_there);
    tcase_add_test(tests, an_epoch_that_is_filled_later_counts_as_seen_up_to_where_it_was);
    tcase_add_test(tests, ordered_messages_expire_by_when_they_were_published);
    tcase_add_test(tests, a_topic_of_a_full_memory_takes_no_epoch_that_it_has_no_room_for);
    tcase_add_test(tests, another_process_finds_the_memory_by_its_file);
    if (kStepsInstructions) {
        tcase_add_test(tests,
                       a_process_that_is_killed_while_epochs_change_leaves_one_of_them_whole);
    }
}
