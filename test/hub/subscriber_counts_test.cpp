// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "hub/subscriber_counts.hpp"

#include <cstdint>
#include <map>
#include <memory>

#include "protocol/random.hpp"
#include "shm/mapping.hpp"
#include "unit.hpp"

using websocket::hub::SubscriberCounts;
using websocket::test::Random;

namespace {

struct Memory {
    websocket::shm::Mapping mapping{SubscriberCounts::kCells * sizeof(SubscriberCounts::Cell)};
    SubscriberCounts counts{std::span<SubscriberCounts::Cell, SubscriberCounts::kCells>(
        static_cast<SubscriberCounts::Cell*>(mapping.data()), SubscriberCounts::kCells)};
};

}  // namespace

START_TEST(a_topic_has_the_count_that_was_set_last) {
    const Memory memory;
    ck_assert_uint_eq(memory.counts.get(7), 0);
    for (const std::uint64_t count : {1U, 5000U, 2U, 0U, 3U}) {
        memory.counts.set(7, count);
        ck_assert_uint_eq(memory.counts.get(7), count);
    }
    memory.counts.set(7, std::uint64_t{1} << 40);
    ck_assert_uint_eq(memory.counts.get(7), SubscriberCounts::kMost);
    memory.counts.set(0, 1);  // a tag of zeros
    ck_assert_uint_eq(memory.counts.get(0), 1);
    memory.counts.set(0, 0);
    ck_assert_uint_eq(memory.counts.get(0), 0);
}
END_TEST

START_TEST(topics_whose_cells_are_the_same_have_counts_of_their_own) {
    const Memory memory;
    const auto hash = [](std::uint64_t number) {
        // Equal but for the tag, in a window that begins with the last cell that may begin one.
        const std::uint64_t windows = SubscriberCounts::kCells - SubscriberCounts::kWindow + 1;
        return (std::uint64_t{1} << 40) * number * windows + windows - 1;
    };
    for (std::uint64_t number = 0; number < SubscriberCounts::kWindow; ++number) {
        memory.counts.set(hash(number), number + 1);
    }
    memory.counts.set(hash(SubscriberCounts::kWindow), 99);  // finds no cell
    ck_assert_uint_eq(memory.counts.get(hash(SubscriberCounts::kWindow)), 0);
    memory.counts.set(hash(5), 0);
    memory.counts.set(hash(SubscriberCounts::kWindow), 99);
    for (std::uint64_t number = 0; number < SubscriberCounts::kWindow; ++number) {
        ck_assert_uint_eq(memory.counts.get(hash(number)), number == 5 ? 0 : number + 1);
    }
    ck_assert_uint_eq(memory.counts.get(hash(SubscriberCounts::kWindow)), 99);
}
END_TEST

START_TEST(a_hundred_thousand_topics_come_and_go_and_are_counted_right) {
    const Memory memory;
    Random random(14);
    std::map<std::uint64_t, std::uint64_t> expected;
    while (expected.size() < 100'000) expected[random.below(SIZE_MAX)] = 0;
    for (int round = 0; round < 2; ++round) {
        for (auto& [hash, count] : expected) {
            count = hash % 3 == 0 ? 0 : 1 + hash % 1000;
            memory.counts.set(hash, count);
        }
        for (const auto& [hash, count] : expected)
            ck_assert_uint_eq(memory.counts.get(hash), count);
        memory.counts.clear();
        for (const auto& [hash, count] : expected) ck_assert_uint_eq(memory.counts.get(hash), 0);
    }
}
END_TEST

WEBSOCKET_TEST_SUITE(subscriber_counts) {
    tcase_add_test(tests, a_topic_has_the_count_that_was_set_last);
    tcase_add_test(tests, topics_whose_cells_are_the_same_have_counts_of_their_own);
    tcase_add_test(tests, a_hundred_thousand_topics_come_and_go_and_are_counted_right);
}
