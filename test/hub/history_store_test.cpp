// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "hub/history_store.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <initializer_list>
#include <set>
#include <string>
#include <vector>

#include "engine/event_form.hpp"
#include "hub/history_memory.hpp"
#include "shm/killed_processes.hpp"
#include "unit.hpp"

using namespace websocket::test;
using namespace std::chrono_literals;
using websocket::engine::text_bytes;
using websocket::hub::HistoryExcerpt;
using websocket::hub::HistoryRange;
using websocket::hub::HistoryStore;
using websocket::hub::Position;
using websocket::hub::position_of;
using websocket::protocol::Opcode;

START_TEST(who_comes_from_another_epoch_or_from_the_future_does_not_recover) {
    HistoryMemory memory;
    const Position one = memory.publish("t", "one");
    ck_assert_uint_eq(one.offset, 1);
    ck_assert(!memory.read("t", {.since = {one.epoch + 1, 0}}).complete);
    ck_assert(!memory.read("t", {.since = {one.epoch + 1, 1}}).complete);
    ck_assert(!memory.read("t", {.since = {one.epoch, 2}}).complete);
    ck_assert(!memory.read("t", {.since = {one.epoch, UINT64_MAX}}).complete);
    ck_assert(!memory.read("never", {.since = one}).complete);
    const HistoryExcerpt other = memory.read("t", {.since = {one.epoch + 1, 0}});
    ck_assert(other.frames.empty() && other.top == one);
}
END_TEST

START_TEST(what_was_trimmed_or_has_expired_is_not_recovered) {
    HistoryMemory memory;
    memory.limits = {3, 10s};
    const Position first = memory.publish("t", "1", 0s);
    for (const char* text : {"2", "3", "4"}) memory.publish("t", text, 1s);
    expect_texts(memory.all("t"), "2,3,4");
    ck_assert(memory.read("t", {.since = first}).complete);
    ck_assert(!memory.read("t", {.since = {first.epoch, 0}}).complete);
    memory.publish("t", "5", 5s);
    expect_texts(memory.texts(memory.read("t", {}, 11s)), "5");
    ck_assert(!memory.read("t", {.since = {first.epoch, 3}}, 11s).complete);
    ck_assert(memory.read("t", {.since = {first.epoch, 4}}, 11s).complete);
    ck_assert(!memory.read("t", {.since = {first.epoch, 4}}, 15s).complete);
    const HistoryExcerpt nothing_missed = memory.read("t", {.since = {first.epoch, 5}}, 15s);
    ck_assert(nothing_missed.complete && nothing_missed.frames.empty());
}
END_TEST

START_TEST(all_behind_a_position_is_read_in_order_and_the_last_ones_without) {
    HistoryMemory memory;
    const std::uint64_t epoch = memory.publish("t", "1").epoch;
    for (int i = 2; i <= 9; ++i) memory.publish("t", std::to_string(i));
    expect_texts(memory.texts(memory.read("t", {.since = {epoch, 6}})), "7,8,9");
    expect_texts(memory.texts(memory.read("t", {.since = {epoch, 6}, .most = 2})), "7,8");
    expect_texts(memory.texts(memory.read("t", {.since = {epoch, 0}, .until = 2})), "1,2");
    expect_texts(memory.texts(memory.read("t", {.most = 2})), "8,9");
    expect_texts(memory.texts(memory.read("t", {.until = 4, .most = 2})), "3,4");
    expect_texts(memory.texts(memory.read("t", {.most = 0})), "");
    const HistoryExcerpt all = memory.read("t", {});
    for (std::size_t i = 0; i < all.frames.size(); ++i) {
        ck_assert(position_of(all.frames[i]) == (Position{epoch, i + 1}));
    }
    const std::string fields(websocket::engine::event_fields_of(all.frames[0]));
    expect_texts(fields, "id: " + std::to_string(epoch) + "-1\n");
}
END_TEST

START_TEST(each_range_of_a_topic_that_is_trimmed_has_its_messages) {
    HistoryMemory memory;
    memory.limits = {37, 1h};
    for (std::uint64_t top = 1; top <= 150; ++top) {
        const std::uint64_t epoch = memory.publish("t", std::to_string(top)).epoch;
        const std::uint64_t missing = top - std::min<std::uint64_t>(top, 37);
        for (std::uint64_t behind = 0; behind <= top; ++behind) {
            const HistoryExcerpt rest = memory.read("t", {.since = {epoch, behind}, .most = 2});
            std::string wanted;
            for (std::uint64_t at = std::max(behind, missing) + 1;
                 at <= std::min(top, std::max(behind, missing) + 2); ++at) {
                wanted += (wanted.empty() ? "" : ",") + std::to_string(at);
            }
            expect_texts(memory.texts(rest), wanted);
            ck_assert(rest.complete == (behind >= missing));
        }
    }
}
END_TEST

START_TEST(who_wants_all_or_nothing_gets_nothing_where_one_is_missing_or_it_is_too_much) {
    HistoryMemory memory;
    memory.limits = {3, 1h};
    const std::uint64_t epoch = memory.publish("t", "gone").epoch;
    for (const std::size_t size : {200U, 0U, 10U}) memory.publish("t", std::string(size, 'x'));
    constexpr std::size_t kBytes = (4 + 200) + 2 + (2 + 10);  // with the headers
    const auto whole = [&](std::uint64_t since, std::size_t bytes) {
        return memory.read("t", {.since = {epoch, since}, .whole_within = bytes});
    };
    const HistoryExcerpt all = whole(1, kBytes);
    ck_assert(all.complete && all.frames.size() == 3 && all.bytes == kBytes);
    ck_assert(!whole(1, kBytes - 1).complete && whole(1, kBytes - 1).frames.empty());
    ck_assert(!whole(0, SIZE_MAX).complete && whole(0, SIZE_MAX).frames.empty());
    ck_assert(whole(4, 0).complete && whole(4, 0).frames.empty());
    const HistoryExcerpt first =
        memory.read("t", {.since = {epoch, 1}, .most = 1, .whole_within = 204});
    ck_assert(first.complete && first.frames.size() == 1);
}
END_TEST

START_TEST(what_is_read_costs_the_same_however_much_is_kept) {
    HistoryMemory memory(32 << 20);
    memory.limits = {1'000'000, 1h};
    constexpr int kKept = 100'000;
    std::uint64_t epoch = 0;
    for (int i = 0; i < kKept; ++i) epoch = memory.publish("t", "12345").epoch;
    for (const HistoryRange& range :
         std::initializer_list<HistoryRange>{{.since = {epoch, kKept}},
                                             {.since = {epoch, kKept - 1}},
                                             {.since = {epoch, 1}, .most = 1},
                                             {.since = {epoch, kKept / 2 + 1}, .most = 1},
                                             {.until = 12'345, .most = 1},
                                             {.since = {epoch, 1}, .whole_within = 700},
                                             {.since = {epoch + 1, 1}, .whole_within = SIZE_MAX}}) {
        SteppedProcess process([&] { static_cast<void>(memory.read("t", range)); });
        int steps = 0;
        while (steps < kKept && process.step()) ++steps;
        ck_assert_int_lt(steps, kKept);
    }
}
END_TEST

START_TEST(how_much_is_used_is_known) {
    HistoryMemory memory;
    const HistoryStore::Usage empty = memory.store.usage().value();
    ck_assert(empty.bytes == 0 && empty.topics == 0 && empty.messages == 0);
    memory.publish("a", "1");
    memory.publish("a", std::string(1000, 'x'));
    static_cast<void>(memory.all("b"));
    const HistoryStore::Usage some = memory.store.usage().value();
    ck_assert(some.topics == 2 && some.messages == 2);
    ck_assert_uint_gt(some.bytes, 1000);
    ck_assert_uint_lt(some.bytes, 4000);
}
END_TEST

START_TEST(messages_are_kept_as_they_were) {
    HistoryMemory memory(8 << 20);
    std::vector<std::string> sent;
    for (const std::size_t size : std::initializer_list<std::size_t>{0, 1, 125, 126, 200, 248, 249,
                                                                     500, 65535, 65536, 300000}) {
        sent.emplace_back(size, static_cast<char>('a' + sent.size()));
        const auto at = memory.store.append(history_topic("t"), memory.limits, Opcode::binary,
                                            text_bytes(sent.back()), "event: news\n", 0ms);
        ck_assert_uint_eq(at->offset, sent.size());
    }
    const HistoryExcerpt all = memory.read("t", {});
    ck_assert_uint_eq(all.frames.size(), sent.size());
    for (std::size_t i = 0; i < sent.size(); ++i) {
        const auto payload = all.frames[i].payload();
        ck_assert(all.frames[i].opcode() == Opcode::binary);
        ck_assert(std::string(payload.begin(), payload.end()) == sent[i]);
        const std::string fields(websocket::engine::event_fields_of(all.frames[i]));
        ck_assert(fields.starts_with("event: news\nid: "));
    }
}
END_TEST

START_TEST(a_full_memory_takes_from_who_has_most) {
    HistoryMemory memory(HistoryStore::kLeast);
    memory.limits = {100'000, 1h};
    for (int i = 0; i < 5; ++i) memory.publish("quiet", "q" + std::to_string(i));
    const Position first = memory.publish("loud", std::string(1000, 'x'));
    for (int i = 0; i < 1000; ++i)
        ck_assert_uint_eq(memory.publish("loud", std::string(1000, 'x')).offset,
                          2U + static_cast<unsigned>(i));
    expect_texts(memory.all("quiet"), "q0,q1,q2,q3,q4");
    ck_assert(!memory.read("loud", {.since = first}).complete);
    ck_assert(memory.read("loud", {.since = {first.epoch, 1000}}).complete);
}
END_TEST

START_TEST(topics_without_messages_are_forgotten_first_and_have_a_new_epoch_then) {
    HistoryMemory memory(HistoryStore::kLeast);
    memory.publish("kept", "here");
    const Position before = memory.store.top(history_topic("empty"), memory.limits, 0ms).value();
    ck_assert_uint_eq(before.offset, 0);
    ck_assert(memory.store.top(history_topic("empty"), memory.limits, 0ms).value() == before);
    for (int i = 0; i < 10'000; ++i) {
        ck_assert(memory.store.top(history_topic("name " + std::to_string(i)), memory.limits, 0ms)
                      .has_value());
    }
    expect_texts(memory.all("kept"), "here");
    ck_assert(memory.store.top(history_topic("empty"), memory.limits, 0ms).value().epoch !=
              before.epoch);
}
END_TEST

START_TEST(what_is_larger_than_half_of_the_memory_has_a_position_only) {
    HistoryMemory memory(HistoryStore::kLeast);
    const Position one = memory.publish("t", "one");
    const Position large = memory.publish("t", std::string(HistoryStore::kLeast, 'x'));
    ck_assert_uint_eq(large.offset, 2);
    ck_assert(!memory.read("t", {.since = one}).complete);
    ck_assert_uint_eq(memory.publish("t", "three").offset, 3);
    expect_texts(memory.texts(memory.read("t", {.since = large})), "three");
}
END_TEST

START_TEST(processes_that_publish_at_once_get_offsets_without_holes) {
    HistoryMemory memory(8 << 20);
    memory.limits = {100'000, 1h};
    constexpr int kProcesses = 4;
    constexpr int kMessages = 2000;
    std::vector<pid_t> children;
    for (int i = 0; i < kProcesses; ++i) {
        children.push_back(::fork());
        if (children.back() == 0) {
            for (int n = 0; n < kMessages; ++n)
                memory.publish("t", std::to_string(i) + ":" + std::to_string(n));
            ::_exit(0);
        }
    }
    for (const pid_t child : children) ::waitpid(child, nullptr, 0);
    const HistoryExcerpt all = memory.read("t", {});
    ck_assert_uint_eq(all.frames.size(), kProcesses * kMessages);
    std::vector<int> next(kProcesses, 0);
    for (std::size_t i = 0; i < all.frames.size(); ++i) {
        ck_assert_uint_eq(position_of(all.frames[i]).offset, i + 1);
        const auto payload = all.frames[i].payload();
        const std::string text(payload.begin(), payload.end());
        const auto who = static_cast<std::size_t>(text[0] - '0');
        expect_texts(text.substr(2), std::to_string(next[who]++));
    }
}
END_TEST

START_TEST(a_process_that_is_killed_at_any_instruction_leaves_a_history_that_is_whole) {
    int killed = 0;
    for (std::uint64_t instruction = 1;; instruction += 1 + instruction / 8) {
        HistoryMemory memory(HistoryStore::kLeast);
        memory.limits = {20, 1h};
        for (int i = 0; i < 25; ++i) memory.publish("full", std::string(3000, 'x'));
        const Position before = memory.publish("t", "before");
        bool done = false;
        {
            SteppedProcess process([&] {
                memory.publish("t", std::string(2000, 'y'));
                memory.publish("new", "z");
            });
            for (std::uint64_t i = 0; i < instruction && !done; ++i) done = !process.step();
        }
        const HistoryExcerpt rest = memory.read("t", {.since = before});
        ck_assert(rest.top.epoch == before.epoch && rest.complete);
        ck_assert_uint_eq(rest.frames.size(), rest.top.offset - before.offset);
        const HistoryExcerpt full = memory.read("full", {.until = 20, .most = 1});
        ck_assert_uint_eq(position_of(full.frames.at(0)).offset, 20);
        for (int i = 0; i < 200; ++i) {
            ck_assert_uint_eq(memory.publish("t", std::string(1000, 'z')).offset,
                              rest.top.offset + 1 + static_cast<unsigned>(i));
            memory.publish("new", "z");
        }
        expect_texts(memory.texts(memory.read("new", {.most = 2})), "z,z");
        if (done) break;
        ++killed;
    }
    ck_assert_int_gt(killed, 30);
}
END_TEST

WEBSOCKET_TEST_SUITE(history_store) {
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, who_comes_from_another_epoch_or_from_the_future_does_not_recover);
    tcase_add_test(tests, what_was_trimmed_or_has_expired_is_not_recovered);
    tcase_add_test(tests, all_behind_a_position_is_read_in_order_and_the_last_ones_without);
    tcase_add_test(tests, each_range_of_a_topic_that_is_trimmed_has_its_messages);
    tcase_add_test(tests,
                   who_wants_all_or_nothing_gets_nothing_where_one_is_missing_or_it_is_too_much);
    tcase_add_test(tests, how_much_is_used_is_known);
    tcase_add_test(tests, messages_are_kept_as_they_were);
    tcase_add_test(tests, a_full_memory_takes_from_who_has_most);
    tcase_add_test(tests, topics_without_messages_are_forgotten_first_and_have_a_new_epoch_then);
    tcase_add_test(tests, what_is_larger_than_half_of_the_memory_has_a_position_only);
    tcase_add_test(tests, processes_that_publish_at_once_get_offsets_without_holes);
    if (kStepsInstructions) {
        tcase_add_test(tests, what_is_read_costs_the_same_however_much_is_kept);
        tcase_add_test(tests,
                       a_process_that_is_killed_at_any_instruction_leaves_a_history_that_is_whole);
    }
}
