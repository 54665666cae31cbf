// SPDX-License-Identifier: Apache-2.0
#include "shm/metric_catalogue.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <climits>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "shm/killed_processes.hpp"
#include "unit.hpp"

using websocket::shm::MetricCatalogue;
using websocket::shm::MetricDescription;
using websocket::shm::MetricLabel;
using websocket::shm::MetricType;
using websocket::test::killed_child;
using websocket::test::kStepsInstructions;
using websocket::test::SteppedProcess;
using Id = MetricCatalogue::Id;
using Metric = MetricCatalogue::Metric;
using Metrics = std::vector<Metric>;

namespace {

constexpr MetricType kCounter = MetricType::counter;
constexpr MetricType kGauge = MetricType::gauge;

MetricDescription described(std::string_view name, MetricType type) { return {name, type, "", {}}; }
Metric metric(std::string_view name, MetricType type, std::int64_t value) {
    return {std::string(name), type, "", {}, value};
}

void add(MetricCatalogue& catalogue, std::string_view name, MetricType type, std::int64_t amount) {
    const auto id = catalogue.find_or_add(described(name, type));
    if (!id || catalogue.own(*id) == nullptr) ::abort();  // also in a child
    catalogue.own(*id)->fetch_add(amount);
}

}  // namespace

START_TEST(what_all_processes_count_is_summed_by_name) {
    MetricCatalogue catalogue(5);
    ck_assert(catalogue.read().empty());
    for (const int amount : {1, 20}) {
        killed_child([&] {
            add(catalogue, "b", kCounter, amount);
            add(catalogue, "a", kGauge, -amount);
        });
    }
    add(catalogue, "a", kGauge, 300);
    add(catalogue, std::string_view("\0", 1), kCounter, 1);
    ck_assert(catalogue.read() == (Metrics{metric(std::string_view("\0", 1), kCounter, 1),
                                           metric("a", kGauge, 279), metric("b", kCounter, 21)}));
}
END_TEST

START_TEST(what_is_counted_elsewhere_is_among_them_until_it_is_forgotten) {
    MetricCatalogue catalogue(5);
    add(catalogue, "b", kCounter, 1);
    const Metric elsewhere = metric("a", kGauge, 7);
    catalogue.add_source([](Metrics& metrics) { metrics.push_back(metric("a", kGauge, 7)); });
    catalogue.add_source([](Metrics& /*metrics*/) {});
    ck_assert(catalogue.read() == (Metrics{elsewhere, metric("b", kCounter, 1)}));
    catalogue.forget_sources();
    ck_assert(catalogue.read() == (Metrics{metric("b", kCounter, 1)}));
}
END_TEST

START_TEST(counters_of_an_ended_process_are_kept_and_gauges_are_not) {
    MetricCatalogue catalogue(2);
    for (int round = 1; round <= 10; ++round) {  // its slot is used again
        catalogue.reap(killed_child([&] {
            add(catalogue, "counter", kCounter, 7);
            add(catalogue, "gauge", kGauge, 9);
        }));
        ck_assert(catalogue.read() ==
                  (Metrics{metric("counter", kCounter, 7 * round), metric("gauge", kGauge, 0)}));
    }
    catalogue.reap(1);  // had none
    killed_child([&] { add(catalogue, "counter", kCounter, 1); });
    catalogue.reap_ended();
    ck_assert(catalogue.read() ==
              (Metrics{metric("counter", kCounter, 71), metric("gauge", kGauge, 0)}));
}
END_TEST

START_TEST(a_metric_is_of_one_type_and_at_the_same_place) {
    MetricCatalogue catalogue(1);
    const auto id = catalogue.find_or_add(described("a", kCounter));
    ck_assert(id && catalogue.find_or_add(described("a", kCounter)) == id);
    MetricCatalogue::Value* value = catalogue.own(*id);
    ck_assert(value != nullptr && catalogue.own(*id) == value);
    ck_assert(!catalogue.find_or_add(described("a", kGauge)));
}
END_TEST

START_TEST(labels_tell_metrics_apart_and_help_does_not) {
    MetricCatalogue catalogue(1);
    const std::array tcp{MetricLabel{"transport", "tcp"}, MetricLabel{"compression", ""}};
    const std::array tls{MetricLabel{"transport", "tls"}, MetricLabel{"compression", ""}};
    const std::array less{MetricLabel{"transport", "tcp"}};
    const std::array shifted{MetricLabel{"transport", ""}, MetricLabel{"tcp", "compression"}};
    const auto id = catalogue.find_or_add({"open", kGauge, "Open.", tcp});
    const auto other = catalogue.find_or_add({"open", kGauge, "Open.", tls});
    ck_assert(id && other && id != other);
    ck_assert(catalogue.find_or_add({"open", kGauge, "Something else.", tcp}) == id);
    ck_assert(catalogue.find_or_add({"open", kGauge, "", less}).has_value());
    ck_assert(catalogue.find_or_add({"open", kGauge, "", shifted}).has_value());
    catalogue.own(*id)->store(3);
    catalogue.own(*other)->store(4);
    const Metrics all = catalogue.read();
    ck_assert_uint_eq(all.size(), 4);
    ck_assert(all[0] ==
              (Metric{"open", kGauge, "", {{"transport", ""}, {"tcp", "compression"}}, 0}));
    ck_assert(all[1] == (Metric{"open", kGauge, "", {{"transport", "tcp"}}, 0}));
    ck_assert(all[2] ==
              (Metric{"open", kGauge, "Open.", {{"transport", "tcp"}, {"compression", ""}}, 3}));
    ck_assert(all[3] ==
              (Metric{"open", kGauge, "Open.", {{"transport", "tls"}, {"compression", ""}}, 4}));
    ck_assert_str_eq(all[3].label("transport")->c_str(), "tls");
    ck_assert(all[3].label("plugin") == nullptr);
}
END_TEST

START_TEST(their_number_and_their_texts_are_bounded) {
    MetricCatalogue catalogue(1);
    const std::string longest(MetricCatalogue::kMaxText - 2, 'x');
    const std::array labels{MetricLabel{"a", ""}, MetricLabel{"b", ""}, MetricLabel{"", ""},
                            MetricLabel{"", ""}};
    const std::span fitting(labels.data(), MetricCatalogue::kMaxLabels);
    ck_assert(catalogue.find_or_add({longest, kGauge, "", fitting}).has_value());
    ck_assert(!catalogue.find_or_add({longest, kGauge, "y", fitting}));
    ck_assert(!catalogue.find_or_add({"four labels", kGauge, "", labels}));
    for (std::size_t i = 1; i < MetricCatalogue::kMaxMetrics; ++i) {
        const std::string name = std::to_string(i);
        ck_assert(catalogue.find_or_add(described(name, kCounter)).has_value());
    }
    ck_assert(!catalogue.find_or_add(described("one more", kCounter)));
    ck_assert(catalogue.find_or_add(described("7", kCounter)).has_value());
    ck_assert_uint_eq(catalogue.read().size(), MetricCatalogue::kMaxMetrics);
}
END_TEST

START_TEST(what_a_process_counted_is_told_apart_from_what_the_ones_before_did) {
    MetricCatalogue catalogue(1);
    const auto counter = catalogue.find_or_add(described("counter", kCounter));
    const auto gauge = catalogue.find_or_add(described("gauge", kGauge));
    for (int round = 1; round <= 3; ++round) {
        const pid_t child = killed_child([&] {
            add(catalogue, "counter", kCounter, round);
            add(catalogue, "gauge", kGauge, 9);
        });
        std::vector<pid_t> processes;
        catalogue.for_each_process([&](pid_t process, MetricCatalogue::Reading reading) {
            processes.push_back(process);
            ck_assert_int_eq(reading[*counter], round);
            ck_assert_int_eq(reading[*gauge], 9);
        });
        ck_assert(processes == std::vector{child});
        catalogue.reap(child);
    }
    ck_assert(catalogue.read() ==
              (Metrics{metric("counter", kCounter, 6), metric("gauge", kGauge, 0)}));
}
END_TEST

START_TEST(processes_that_add_names_at_the_same_time_lose_nothing) {
    constexpr int kProcesses = 4;
    constexpr int kNames = 100;
    MetricCatalogue catalogue(kProcesses);
    std::vector<pid_t> children;
    for (int process = 0; process < kProcesses; ++process) {
        const pid_t child = ::fork();
        if (child == 0) {
            for (int i = 0; i < kNames; ++i) add(catalogue, std::to_string(i), kCounter, 1);
            ::_exit(0);
        }
        children.push_back(child);
    }
    for (const pid_t child : children) {
        ck_assert_int_eq(::waitpid(child, nullptr, 0), child);
        catalogue.reap(child);
    }
    const Metrics all = catalogue.read();
    ck_assert_uint_eq(all.size(), kNames);
    for (const Metric& one : all) ck_assert_int_eq(one.value, kProcesses);
}
END_TEST

START_TEST(a_process_for_which_no_slot_is_left_counts_for_itself_and_sees_the_others) {
    MetricCatalogue catalogue(1);
    const pid_t child = killed_child([&] { add(catalogue, "a", kCounter, 1); });
    add(catalogue, "a", kCounter, 10);
    ck_assert(!catalogue.shares());
    ck_assert(catalogue.read() == (Metrics{metric("a", kCounter, 1)}));
    catalogue.reap(child);
    ck_assert(catalogue.read() == (Metrics{metric("a", kCounter, 1)}));
}
END_TEST

/// Instruction by instruction.
START_TEST(a_process_that_is_killed_while_it_adds_leaves_metrics_that_are_whole) {
    const auto work = [](MetricCatalogue& catalogue) { add(catalogue, "added", kCounter, 1); };
    MetricCatalogue rehearsal(1);
    work(rehearsal);  // calls for the first time what the child calls
    int all_steps = 0;
    {
        MetricCatalogue catalogue(1);
        SteppedProcess child([&] { work(catalogue); });
        while (child.step()) ++all_steps;
    }
    constexpr int kRounds = 12;
    for (int round = 0; round <= kRounds; ++round) {
        MetricCatalogue catalogue(1);
        pid_t ended = 0;
        {
            SteppedProcess child([&] { work(catalogue); });
            // The last one is killed when it has done everything: numbers that are read may be longer.
            const int steps = round < kRounds ? all_steps * round / kRounds : INT_MAX;
            for (int step = 0; step < steps && child.step();) ++step;
            ended = child.pid();
        }
        catalogue.reap(ended);
        const Metrics left = catalogue.read();
        ck_assert(left.empty() || left == Metrics{metric("added", kCounter, 0)} ||
                  left == Metrics{metric("added", kCounter, 1)});
        ck_assert(round < kRounds || left == Metrics{metric("added", kCounter, 1)});
        for (std::size_t i = left.size(); i < MetricCatalogue::kMaxMetrics; ++i) {
            const std::string name = std::to_string(i);
            ck_assert(catalogue.find_or_add(described(name, kGauge)).has_value());
        }
        ck_assert(!catalogue.find_or_add(described("one more", kCounter)));
        ck_assert(catalogue.own(0) != nullptr && catalogue.shares());
    }
}
END_TEST

START_TEST(a_sum_that_does_not_fit_is_no_error) {
    MetricCatalogue catalogue(3);
    for (int i = 0; i < 2; ++i) {
        killed_child([&] { add(catalogue, "a", kGauge, INT64_MAX); });
    }
    add(catalogue, "a", kGauge, 2);
    ck_assert(catalogue.read() == (Metrics{metric("a", kGauge, 0)}));
}
END_TEST

START_TEST(a_counter_never_goes_back_while_a_process_is_reaped) {
    MetricCatalogue catalogue(2);
    std::atomic<bool> over{false};
    bool fell = false;
    std::thread reader([&] {
        for (std::int64_t last = 0; !over;) {
            const Metrics all = catalogue.read();
            const std::int64_t now = all.empty() ? 0 : all[0].value;
            fell = fell || now < last;
            last = now;
        }
    });
    for (int round = 0; round < 50; ++round) {
        catalogue.reap(killed_child([&] { add(catalogue, "counter", kCounter, 1000); }));
    }
    over = true;
    reader.join();
    ck_assert(!fell);
    ck_assert(catalogue.read() == (Metrics{metric("counter", kCounter, 50000)}));
}
END_TEST

WEBSOCKET_TEST_SUITE(metric_catalogue) {
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, what_all_processes_count_is_summed_by_name);
    tcase_add_test(tests, what_is_counted_elsewhere_is_among_them_until_it_is_forgotten);
    tcase_add_test(tests, counters_of_an_ended_process_are_kept_and_gauges_are_not);
    tcase_add_test(tests, a_metric_is_of_one_type_and_at_the_same_place);
    tcase_add_test(tests, labels_tell_metrics_apart_and_help_does_not);
    tcase_add_test(tests, their_number_and_their_texts_are_bounded);
    tcase_add_test(tests, what_a_process_counted_is_told_apart_from_what_the_ones_before_did);
    tcase_add_test(tests, processes_that_add_names_at_the_same_time_lose_nothing);
    tcase_add_test(tests,
                   a_process_for_which_no_slot_is_left_counts_for_itself_and_sees_the_others);
    if (kStepsInstructions) {
        tcase_add_test(tests, a_process_that_is_killed_while_it_adds_leaves_metrics_that_are_whole);
    }
    tcase_add_test(tests, a_sum_that_does_not_fit_is_no_error);
    tcase_add_test(tests, a_counter_never_goes_back_while_a_process_is_reaped);
}
