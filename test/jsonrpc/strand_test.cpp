// SPDX-License-Identifier: Apache-2.0
// What of a session runs one after the other, at the end of the threads.
#include <websocket/jsonrpc/strand.hpp>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "unit.hpp"

using websocket::jsonrpc::detail::Strand;
using websocket::jsonrpc::detail::Workers;

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
    tcase_add_test(tests, a_task_that_is_added_while_the_threads_stop_is_run_whole_or_not_at_all);
}
