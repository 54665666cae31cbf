// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "bridge/subscriptions.hpp"

#include <chrono>
#include <string>

#include "bridge/sequences.hpp"
#include "unit.hpp"

using namespace std::chrono_literals;
using websocket::bridge::Sequences;
using websocket::bridge::Subscriptions;

START_TEST(who_wants_nothing_has_nothing_to_give_up) {
    Subscriptions all;
    all.unwant(1, "a", 0ms);
    all.drop_link(1, 0ms);
    ck_assert(all.want(1, "a", "key"));
    all.unwant(2, "a", 0ms);
    all.unwant(1, "b", 0ms);
    ck_assert(all.take_unwanted(10ms).empty());
    ck_assert_uint_eq(all.size(), 1);
}
END_TEST

START_TEST(a_channel_stays_until_nobody_has_wanted_it_for_a_while) {
    Subscriptions all;
    ck_assert(all.want(1, "a", "key"));
    ck_assert(!all.want(1, "a", "key"));
    ck_assert(!all.want(2, "a", "key"));
    all.unwant(1, "a", 1ms);
    ck_assert(all.take_unwanted(100ms).empty());
    all.drop_link(2, 5ms);
    ck_assert(all.take_unwanted(4ms).empty());
    ck_assert(!all.want(3, "a", "key"));  // again in time
    ck_assert(all.take_unwanted(100ms).empty());
    all.unwant(3, "a", 6ms);
    const auto gone = all.take_unwanted(6ms);
    ck_assert_uint_eq(gone.size(), 1);
    ck_assert(gone[0] == "a" && all.find("a") == nullptr);
    ck_assert(all.want(1, "a", "key"));
}
END_TEST

START_TEST(a_link_that_has_ended_takes_all_of_its_channels_along) {
    Subscriptions all;
    for (int i = 0; i < 100; ++i) {
        ck_assert(all.want(1, std::to_string(i), "key"));
    }
    ck_assert(!all.want(2, "7", "key"));
    all.drop_link(1, 0ms);
    ck_assert_uint_eq(all.take_unwanted(0ms).size(), 99);
    ck_assert_ptr_nonnull(all.find("7"));
}
END_TEST

START_TEST(what_is_missing_is_seen_by_the_numbers_of_each_host) {
    Subscriptions::LastSequences last;
    ck_assert_uint_eq(last.missing_before(1, 5), 0);  // the first one
    ck_assert_uint_eq(last.missing_before(2, 1), 0);
    ck_assert_uint_eq(last.missing_before(1, 6), 0);
    ck_assert_uint_eq(last.missing_before(1, 9), 2);
    ck_assert_uint_eq(last.missing_before(2, 2), 0);
    ck_assert_uint_eq(last.missing_before(1, 1), 0);  // counts anew
    ck_assert_uint_eq(last.missing_before(1, 2), 0);
    for (std::uint64_t host = 10; host < 1000; ++host) {
        ck_assert_uint_eq(last.missing_before(host, host), 0);
    }
}
END_TEST

START_TEST(hosts_that_are_heard_are_not_forgotten_for_those_that_come_and_go) {
    constexpr std::uint64_t kHosts = Subscriptions::LastSequences::kMostHosts;
    Subscriptions::LastSequences last;
    for (std::uint64_t round = 0; round < 10; ++round) {
        for (std::uint64_t host = 1; host < kHosts; ++host) {
            ck_assert_uint_eq(last.missing_before(host, 2 * round + 1), round == 0 ? 0 : 1);
        }
        ck_assert_uint_eq(last.missing_before(1000 + round, 1), 0);
    }
}
END_TEST

START_TEST(numbers_of_channels_of_lately_go_on) {
    Sequences sequences(2);
    ck_assert_uint_eq(sequences.next("a"), 1);
    ck_assert_uint_eq(sequences.next("a"), 2);
    ck_assert_uint_eq(sequences.next("b"), 1);
    ck_assert_uint_eq(sequences.next("c"), 1);
    ck_assert_uint_eq(sequences.next("a"), 3);
    for (int i = 0; i < 10; ++i) {
        ck_assert_uint_eq(sequences.next("x" + std::to_string(i)), 1);
    }
    ck_assert_uint_eq(sequences.next("a"), 1);
}
END_TEST

WEBSOCKET_TEST_SUITE(subscriptions) {
    tcase_add_test(tests, who_wants_nothing_has_nothing_to_give_up);
    tcase_add_test(tests, a_channel_stays_until_nobody_has_wanted_it_for_a_while);
    tcase_add_test(tests, a_link_that_has_ended_takes_all_of_its_channels_along);
    tcase_add_test(tests, what_is_missing_is_seen_by_the_numbers_of_each_host);
    tcase_add_test(tests, hosts_that_are_heard_are_not_forgotten_for_those_that_come_and_go);
    tcase_add_test(tests, numbers_of_channels_of_lately_go_on);
}
