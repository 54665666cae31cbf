// SPDX-License-Identifier: Apache-2.0
#include "base/token_bucket.hpp"

#include "unit.hpp"

using namespace std::chrono_literals;
using websocket::base::Rate;
using websocket::base::TokenBucket;

namespace {

constexpr Rate kTenASecond{10, 1s};

}  // namespace

START_TEST(a_new_bucket_is_full_whatever_the_time) {
    for (const auto now : {0ms, 1ms, 999'999'999ms}) {
        TokenBucket bucket;
        for (int i = 0; i < 10; ++i) ck_assert(bucket.take(1, now, kTenASecond));
        ck_assert(!bucket.take(1, now, kTenASecond));
    }
}
END_TEST

START_TEST(it_holds_what_the_burst_says) {
    TokenBucket bucket;
    const Rate rate{10, 5s};
    for (int i = 0; i < 50; ++i) ck_assert(bucket.take(1, 0ms, rate));
    ck_assert(!bucket.take(1, 0ms, rate));
}
END_TEST

START_TEST(it_fills_at_its_rate_and_no_faster) {
    TokenBucket bucket;
    ck_assert(bucket.take(10, 0ms, kTenASecond));
    ck_assert(!bucket.take(1, 99ms, kTenASecond));  // is now 0.01 below empty
    ck_assert(bucket.take(1, 200ms, kTenASecond));
    ck_assert(!bucket.take(1, 200ms, kTenASecond));
}
END_TEST

START_TEST(it_never_holds_more_than_it_can) {
    TokenBucket bucket;
    ck_assert(bucket.take(10, 0ms, kTenASecond));
    ck_assert(bucket.take(10, 1h, kTenASecond));
    ck_assert(!bucket.take(1, 1h, kTenASecond));
}
END_TEST

START_TEST(what_nobody_could_look_at_is_judged_by_when_it_may_have_been_sent) {
    TokenBucket bucket;
    ck_assert(bucket.take(10, 0ms, kTenASecond));
    // Nobody looked from 1 s to 4 s: thirty may have been sent meanwhile, beside the burst.
    for (int i = 0; i < 40; ++i) ck_assert(bucket.take(1, 4s, kTenASecond, 1s));
    ck_assert(!bucket.take(1, 4s, kTenASecond, 1s));
    ck_assert_int_eq(bucket.debt(4s, kTenASecond).count(), 100);
}
END_TEST

START_TEST(the_debt_is_the_time_until_it_is_paid) {
    TokenBucket bucket;
    ck_assert_int_eq(bucket.debt(0ms, kTenASecond).count(), 0);
    ck_assert(bucket.take(10, 0ms, kTenASecond));
    ck_assert_int_eq(bucket.debt(0ms, kTenASecond).count(), 0);
    ck_assert(!bucket.take(25, 0ms, kTenASecond));
    ck_assert_int_eq(bucket.debt(0ms, kTenASecond).count(), 2500);
    ck_assert_int_eq(bucket.debt(2000ms, kTenASecond).count(), 500);
    ck_assert_int_eq(bucket.debt(2500ms, kTenASecond).count(), 0);
    ck_assert(!bucket.take(1, 2500ms, kTenASecond));  // paid, and nothing left over
}
END_TEST

START_TEST(over_a_long_time_the_rate_is_kept_exactly) {
    TokenBucket bucket;
    const Rate rate{7, 1s};  // does not divide a second
    std::uint64_t granted = 0;
    for (auto now = 0ms; now <= 1'000'000ms; now += 1ms) {
        if (bucket.debt(now, rate) > 0ms) continue;
        static_cast<void>(bucket.take(1, now, rate));
        ++granted;
    }
    ck_assert_uint_ge(granted, 7'000);
    ck_assert_uint_le(granted, 7'000 + 8);
}
END_TEST

START_TEST(the_largest_amounts_and_rates_stay_within_their_bits) {
    TokenBucket bucket;
    const Rate slowest{1, 1h};
    for (int i = 0; i < 100; ++i) ck_assert(!bucket.take(UINT32_MAX, 1000h, slowest));
    ck_assert_int_gt(bucket.debt(1000h, slowest).count(), 0);
    TokenBucket fast;
    const Rate fastest{std::uint64_t{1} << 40, 1h};
    for (int i = 0; i < 100; ++i) ck_assert(fast.take(UINT32_MAX, 1000h, fastest));
}
END_TEST

WEBSOCKET_TEST_SUITE(token_bucket) {
    tcase_add_test(tests, a_new_bucket_is_full_whatever_the_time);
    tcase_add_test(tests, it_holds_what_the_burst_says);
    tcase_add_test(tests, it_fills_at_its_rate_and_no_faster);
    tcase_add_test(tests, it_never_holds_more_than_it_can);
    tcase_add_test(tests, what_nobody_could_look_at_is_judged_by_when_it_may_have_been_sent);
    tcase_add_test(tests, the_debt_is_the_time_until_it_is_paid);
    tcase_add_test(tests, over_a_long_time_the_rate_is_kept_exactly);
    tcase_add_test(tests, the_largest_amounts_and_rates_stay_within_their_bits);
}
