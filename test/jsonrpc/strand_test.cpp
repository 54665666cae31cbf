// SPDX-License-Identifier: Apache-2.0
// What of a session runs one after the other: while it is held, and at the end of the threads.
#include <websocket/jsonrpc/strand.hpp>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "unit.hpp"

using websocket::jsonrpc::detail::Strand;
using websocket::jsonrpc::detail::Workers;

namespace {

class HeldStrand final : public Strand {
public:
    std::atomic<bool> hold{false};

private:
    [[nodiscard]] bool held() const override { return hold; }
};

}  // namespace

START_TEST(a_strand_that_is_held_runs_nothing_and_then_all_in_order) {
    for (const unsigned threads : {0U, 2U}) {
        std::vector<int> ran;  // of the strand's tasks, one at a time
        std::promise<void> done;
        Workers workers(threads);
        const auto strand = std::make_shared<HeldStrand>();
        std::promise<void> holding;
        strand->add(workers, [&] {
            strand->hold = true;
            holding.set_value();
        });
        holding.get_future().wait();
        for (int i = 0; i < 3; ++i) strand->add(workers, [&ran, i] { ran.push_back(i); });
        strand->go_on(workers);  // too early
        std::promise<void> other;
        std::make_shared<Strand>()->add(workers, [&other] { other.set_value(); });
        other.get_future().wait();
        ck_assert(ran.empty());
        strand->hold = false;
        strand->go_on(workers);
        strand->add(workers, [&done] { done.set_value(); });
        done.get_future().wait();
        ck_assert(ran == std::vector<int>({0, 1, 2}));
    }
}
END_TEST

// Threads that add, against one that stops: by chance, but never wrong.
START_TEST(a_task_that_is_added_while_the_threads_stop_is_run_whole_or_not_at_all) {
    constexpr int kTries = 500;
    constexpr int kStrands = 40;
    std::atomic<int> hollow{0};
    for (int i = 0; i < kTries; ++i) {
        std::vector<std::shared_ptr<Strand>> strands;
        for (int k = 0; k < kStrands; ++k) strands.push_back(std::make_shared<Strand>());
        Workers workers(2);
        std::atomic<int> added{0};
        std::thread adds([&] {
            for (const auto& strand : strands) {
                strand->add(workers, [whole = std::make_shared<int>(), &hollow] {
                    if (whole == nullptr) ++hollow;
                });
                ++added;
            }
        });
        while (added <= i % kStrands) std::this_thread::yield();
        workers.stop();
        adds.join();
    }
    ck_assert_int_eq(hollow, 0);
}
END_TEST

WEBSOCKET_TEST_SUITE(jsonrpc_strand) {
    tcase_add_test(tests, a_strand_that_is_held_runs_nothing_and_then_all_in_order);
    tcase_add_test(tests, a_task_that_is_added_while_the_threads_stop_is_run_whole_or_not_at_all);
}
