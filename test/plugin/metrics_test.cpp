// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "plugin/common/metrics.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "unit.hpp"

using websocket::plugin::Metric;
using websocket::plugin::MetricName;
using websocket::plugin::Metrics;
using websocket::shm::MetricCatalogue;
using Kind = Metric::Kind;

namespace {

MetricName named(std::string_view name) { return {"p", name, "/l"}; }

MetricCatalogue::Metric shown(const char* name, Kind kind, std::int64_t value) {
    return {name, kind, "", {{"plugin", "p"}, {"location", "/l"}}, value};
}

}  // namespace

START_TEST(a_metric_of_one_name_is_one) {
    Metrics metrics;
    Metric* metric = metrics.find_or_add(named("a"), Kind::counter);
    ck_assert(metric != nullptr && metrics.find_or_add(named("a"), Kind::counter) == metric);
    ck_assert(metrics.find_or_add(named("a"), Kind::gauge) == nullptr);
    metric->add(5);
    ck_assert_int_eq(metric->own, 5);
    ck_assert(!metrics.newly_full());
}
END_TEST

START_TEST(what_is_counted_is_shown) {
    MetricCatalogue shared(1);
    Metrics metrics(&shared);
    metrics.find_or_add(named("a"), Kind::counter)->value->fetch_add(5);
    metrics.find_or_add(named("b"), Kind::gauge)->value->store(-1);
    ck_assert(shared.read() ==
              (std::vector{shown("a", Kind::counter, 5), shown("b", Kind::gauge, -1)}));
    ck_assert(!metrics.newly_full());
}
END_TEST

START_TEST(their_number_is_bounded_and_that_is_told_once) {
    Metrics metrics;
    for (std::size_t i = 0; i < Metrics::kMax; ++i) {
        ck_assert(metrics.find_or_add(named(std::to_string(i)), Kind::counter) != nullptr);
    }
    ck_assert(!metrics.newly_full());
    ck_assert(metrics.find_or_add(named("one more"), Kind::counter) == nullptr);
    ck_assert(metrics.newly_full() && !metrics.newly_full());
    ck_assert(metrics.find_or_add(named("another"), Kind::counter) == nullptr);
    ck_assert(!metrics.newly_full());
}
END_TEST

START_TEST(what_cannot_be_shown_counts_and_is_told) {
    MetricCatalogue shared(1);
    Metrics metrics(&shared);
    Metric* metric =
        metrics.find_or_add(named(std::string(Metrics::kLongestShown - 4, 'x')), Kind::counter);
    ck_assert(metric != nullptr && metrics.newly_full());
    metric->value->fetch_add(1);
    ck_assert_int_eq(metric->own, 1);
    ck_assert(shared.read().empty());
}
END_TEST

START_TEST(setting_a_counter_keeps_what_ended_processes_have_counted) {
    MetricCatalogue shared(1);  // so that all get the same slot
    for (int round = 1; round <= 3; ++round) {
        const pid_t child = ::fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
            Metrics metrics(&shared);
            Metric* counter = metrics.find_or_add(named("counter"), Kind::counter);
            Metric* gauge = metrics.find_or_add(named("gauge"), Kind::gauge);
            counter->set(50);
            counter->set(10);
            counter->add(1);
            gauge->set(7);
            ::_exit(0);
        }
        ck_assert_int_eq(::waitpid(child, nullptr, 0), child);
        ck_assert(shared.read() == (std::vector{shown("counter", Kind::counter, round * 11),
                                                shown("gauge", Kind::gauge, 7)}));
        shared.reap(child);
    }
    ck_assert(shared.read() ==
              (std::vector{shown("counter", Kind::counter, 33), shown("gauge", Kind::gauge, 0)}));
}
END_TEST

WEBSOCKET_TEST_SUITE(metrics) {
    tcase_add_test(tests, a_metric_of_one_name_is_one);
    tcase_add_test(tests, what_is_counted_is_shown);
    tcase_add_test(tests, their_number_is_bounded_and_that_is_told_once);
    tcase_add_test(tests, setting_a_counter_keeps_what_ended_processes_have_counted);
    tcase_add_test(tests, what_cannot_be_shown_counts_and_is_told);
}
