// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "hub/gaps.hpp"

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "failing_allocator.hpp"
#include "hub/record.hpp"
#include "unit.hpp"

using namespace std::chrono_literals;
using websocket::engine::SharedFrame;
using websocket::hub::GapPace;
using websocket::hub::GapReason;
using websocket::hub::Gaps;
using websocket::hub::kAllTopics;

namespace {

using Told = std::vector<std::pair<std::string, GapReason>>;

Told told_of(Gaps& gaps) {
    Told told;
    gaps.tell([&](std::string_view key, GapReason why) {
        told.emplace_back(key, why);
        return true;
    });
    return told;
}

Told told_of(GapPace& pace, GapPace::Clock::time_point now) {
    Told told;
    pace.pass_on(now, [&](std::string_view key, GapReason why) {
        told.emplace_back(key, why);
        return true;
    });
    return told;
}

SharedFrame frame_of(websocket::protocol::Opcode opcode, const std::vector<std::uint8_t>& payload) {
    return SharedFrame::build(opcode, payload);
}

}  // namespace

START_TEST(more_topics_than_can_be_kept_are_a_gap_of_all) {
    Gaps gaps;
    for (std::size_t i = 0; i < Gaps::kMost; ++i) gaps.add(std::to_string(i), GapReason::hole);
    gaps.add("0", GapReason::busy);  // known
    Gaps copy;
    copy.take(gaps);
    ck_assert(gaps.empty());
    ck_assert_uint_eq(told_of(copy).size(), Gaps::kMost);
    ck_assert(copy.empty());

    for (std::size_t i = 0; i < 10 * Gaps::kMost; ++i) gaps.add(std::to_string(i), GapReason::hole);
    copy.add("another", GapReason::busy);
    copy.take(gaps);
    ck_assert(told_of(copy) == Told({{std::string(kAllTopics), GapReason::hole}}));
}
END_TEST

START_TEST(without_memory_it_is_a_gap_of_all) {
    Gaps gaps;
    const std::string name(100, 'x');
    {
        const websocket::test::FailingAllocator fail(0);
        gaps.add(name, GapReason::busy);
    }
    ck_assert(told_of(gaps) == Told({{std::string(kAllTopics), GapReason::busy}}));
}
END_TEST

START_TEST(what_is_not_taken_is_told_again) {
    Gaps gaps;
    gaps.add("a", GapReason::hole);
    gaps.add("b", GapReason::busy);
    gaps.tell([](std::string_view key, GapReason /*why*/) { return key == "b"; });
    ck_assert(told_of(gaps) == Told({{"a", GapReason::hole}}));
}
END_TEST

START_TEST(each_topic_is_told_once_a_second_and_its_last_gap_for_certain) {
    GapPace pace;
    const auto begin = GapPace::Clock::now();
    pace.add("a", GapReason::hole);
    ck_assert(told_of(pace, begin) == Told({{"a", GapReason::hole}}));
    for (int i = 0; i < 1000; ++i) pace.add("a", GapReason::busy);
    pace.add("b", GapReason::hole);
    ck_assert(told_of(pace, begin + 1ms) == Told({{"b", GapReason::hole}}));
    ck_assert(told_of(pace, begin + 999ms).empty());
    ck_assert(!pace.empty());
    ck_assert(told_of(pace, begin + 1000ms) == Told({{"a", GapReason::busy}}));
    ck_assert(pace.empty());
}
END_TEST

START_TEST(a_flood_of_topics_is_a_bounded_number_of_gaps_a_second) {
    GapPace pace;
    const auto begin = GapPace::Clock::now();
    std::size_t told = 0;
    for (int i = 0; i < 10'000; ++i) {
        pace.add(std::to_string(i), GapReason::hole);
        told += told_of(pace, begin).size();
    }
    ck_assert_uint_eq(told, Gaps::kMost);
    ck_assert(told_of(pace, begin + 1s) == Told({{std::string(kAllTopics), GapReason::hole}}));
}
END_TEST

START_TEST(a_gap_that_cannot_be_passed_on_waits_for_the_next_turn) {
    GapPace pace;
    const auto begin = GapPace::Clock::now();
    pace.add("a", GapReason::hole);
    int calls = 0;
    const auto refuse = [&](std::string_view /*key*/, GapReason /*why*/) {
        ++calls;
        return false;
    };
    pace.pass_on(begin, refuse);
    pace.pass_on(begin + 1ms, refuse);
    ck_assert_int_eq(calls, 1);
    ck_assert_uint_eq(told_of(pace, begin + 1s).size(), 1);
}
END_TEST

START_TEST(only_a_whole_record_of_a_gap_is_one) {
    using websocket::protocol::Opcode;
    for (const std::vector<std::uint8_t>& wrong :
         {std::vector<std::uint8_t>{}, {0}, {5}, {255}, {1, 1}}) {
        ck_assert(!websocket::hub::gap_of(frame_of(Opcode::close, wrong)));
    }
    ck_assert(!websocket::hub::gap_of(frame_of(Opcode::ping, {1})));
    for (const auto why : {GapReason::reconnected, GapReason::busy}) {
        ck_assert(websocket::hub::gap_of(websocket::hub::gap_frame(why)) == why);
    }
}
END_TEST

WEBSOCKET_TEST_SUITE(gaps) {
    tcase_add_test(tests, more_topics_than_can_be_kept_are_a_gap_of_all);
    tcase_add_test(tests, without_memory_it_is_a_gap_of_all);
    tcase_add_test(tests, what_is_not_taken_is_told_again);
    tcase_add_test(tests, each_topic_is_told_once_a_second_and_its_last_gap_for_certain);
    tcase_add_test(tests, a_flood_of_topics_is_a_bounded_number_of_gaps_a_second);
    tcase_add_test(tests, a_gap_that_cannot_be_passed_on_waits_for_the_next_turn);
    tcase_add_test(tests, only_a_whole_record_of_a_gap_is_one);
}
