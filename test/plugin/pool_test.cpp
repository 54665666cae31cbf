// SPDX-License-Identifier: Apache-2.0
#include "plugin/common/pool.hpp"

#include <algorithm>
#include <deque>
#include <list>
#include <optional>
#include <set>
#include <thread>

#include "engine/service.hpp"
#include "failing_allocator.hpp"
#include "plugin/pool_work.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::plugin::Pool;
using websocket::plugin::PoolOptions;
using websocket::plugin::PoolTask;

START_TEST(runs_what_is_submitted_on_another_thread) {
    Awaited<std::thread::id> id;
    RecordingLog log;
    Pool pool({}, log);
    Work work([&] { id.update([](auto& value) { value = std::this_thread::get_id(); }); });
    pool.submit(work);
    const auto ran = id.await([](auto value) { return value != std::thread::id(); }, "the work");
    ck_assert(ran != std::this_thread::get_id());
}
END_TEST

START_TEST(first_come_first_served_on_one_thread) {
    RecordingLog log;
    std::vector<int> order;
    std::deque<Work> work;
    {
        Pool pool({.max_threads = 1}, log);
        for (int i = 0; i < 1000; ++i) {
            work.emplace_back([&order, i] { order.push_back(i); });
            pool.submit(work.back());
        }
    }
    ck_assert_uint_eq(order.size(), 1000);
    ck_assert(std::ranges::is_sorted(order));
}
END_TEST

START_TEST(the_destructor_runs_all_that_waits_also_what_the_last_tasks_submit) {
    std::atomic<int> runs{0};
    RecordingLog log;
    std::deque<Work> second;
    std::deque<Work> first;
    {
        Pool pool({.max_threads = 2}, log);
        for (std::size_t i = 0; i < 100; ++i) {
            second.emplace_back([&] { ++runs; });
            first.emplace_back([&, i] {
                ++runs;
                pool.submit(second[i]);
            });
        }
        Blocker one(pool);
        Blocker two(pool);
        for (Work& work : first) pool.submit(work);
        one.release();
        two.release();
    }
    ck_assert_int_eq(runs, 200);
}
END_TEST

/// A session submits itself again only when it is neither waiting nor running.
START_TEST(a_task_that_submits_itself_never_runs_twice_at_once) {
    Awaited<int> done;
    std::atomic<bool> overlap{false};
    std::deque<std::atomic<int>> counts(20);
    RecordingLog log;
    Pool pool({.max_threads = 8}, log);
    struct Again final : PoolTask {
        std::function<void(Again&)> what;
        void run() noexcept override { what(*this); }
    };
    std::vector<std::unique_ptr<Again>> tasks;
    for (auto& count : counts) {
        tasks.push_back(std::make_unique<Again>());
        tasks.back()->what = [&](Again& self) {
            const int before = count.load();
            if (before % 4 == 0) std::this_thread::yield();  // behind all that wants a busy core
            if (count.exchange(before + 1) != before) overlap = true;
            if (before + 1 < 200) {
                pool.submit(self);
            } else {
                done.update([](int& value) { ++value; });
            }
        };
    }
    for (auto& task : tasks) pool.submit(*task);
    done.await([](int value) { return value == 20; }, "all tasks");
    ck_assert(!overlap);
}
END_TEST

START_TEST(grows_when_all_threads_are_blocked_as_long_as_it_may) {
    RecordingLog log;
    Pool pool({.max_threads = 20}, log);
    std::list<Blocker> blockers;
    for (int i = 0; i < 20; ++i) blockers.emplace_back(pool);
    for (Blocker& blocker : blockers) blocker.await_begun();
    ck_assert_uint_eq(log.count("WS0402"), 0);
}
END_TEST

START_TEST(says_when_all_threads_are_blocked_and_goes_on_when_one_is_free) {
    RecordingLog log;
    Pool pool({.max_threads = 3}, log);
    std::list<Blocker> blockers;
    for (int i = 0; i < 3; ++i) blockers.emplace_back(pool);
    for (Blocker& blocker : blockers) blocker.await_begun();
    Blocker late(pool);
    log.await("WS0402");
    ck_assert(!late.begun());
    std::next(blockers.begin())->release();
    late.await_begun();
    ck_assert_uint_eq(log.count("WS0402"), 1);
    // Blocked again, so it is news again.
    Blocker later(pool);
    await_quietly([&] { return log.count("WS0402") == 2; }, "the second warning");
    late.release();
    later.await_begun();
}
END_TEST

namespace {

/// How many threads have done 500 pieces of work, one after the other.
std::size_t threads_of_quick_work() {
    Awaited<std::set<std::thread::id>> threads;
    RecordingLog log;
    Pool pool({.min_threads = 2, .max_threads = 64}, log);
    ck_assert(pool.ready());
    for (int i = 0; i < 500; ++i) {
        Door done;
        Work work([&] {
            threads.update([](auto& set) { set.insert(std::this_thread::get_id()); });
            done.open();
        });
        pool.submit(work);
        done.await("the work");
    }
    return threads.get().size();
}

}  // namespace

START_TEST(quick_work_is_left_to_idle_threads) {
    const auto usual = std::max(2U, std::thread::hardware_concurrency());
    std::size_t threads = threads_of_quick_work();
    // On a busy machine idle ones may be taken for blocked, now and then.
    for (int i = 0; i < 20 && threads > usual; ++i) threads = threads_of_quick_work();
    ck_assert_uint_le(threads, usual);
}
END_TEST

START_TEST(is_ready_with_as_many_threads_as_configured) {
    RecordingLog log;
    Pool pool({.min_threads = 5, .max_threads = 5}, log);
    ck_assert(pool.ready());
    ck_assert(pool.ready());
    std::list<Blocker> blockers;
    for (int i = 0; i < 5; ++i) blockers.emplace_back(pool);
    for (Blocker& blocker : blockers) blocker.await_begun();
}
END_TEST

START_TEST(no_task_is_forgotten_however_threads_come_and_go) {
    std::atomic<int> runs{0};
    RecordingLog log;
    std::deque<Work> work;
    for (int i = 0; i < 4 * 5000; ++i) work.emplace_back([&runs] { ++runs; });
    {
        Pool pool({.max_threads = 6}, log);
        std::vector<std::thread> submitters;
        for (std::size_t i = 0; i < 4; ++i) {
            submitters.emplace_back([&, i] {
                for (std::size_t j = 0; j < 5000; ++j) {
                    pool.submit(work[i * 5000 + j]);
                    if (j % 64 == 0) std::this_thread::yield();
                }
            });
        }
        for (std::thread& submitter : submitters) submitter.join();
    }
    ck_assert_int_eq(runs, 4 * 5000);
}
END_TEST

START_TEST(without_memory_for_a_thread_it_is_not_ready_and_harms_nobody) {
    RecordingLog log;
    bool ready = true;
    {
        Pool pool({}, log);
        {
            const FailingAllocator allocator(0);
            ready = pool.ready();
        }
        ck_assert(!ready);
        ck_assert_uint_eq(log.count("WS0401"), 1);
        ck_assert(pool.ready());
        Blocker blocker(pool);
        blocker.await_begun();
        // The next would need another thread, or the one that adds threads.
        Door done;
        Work work([&] { done.open(); });
        {
            const FailingAllocator allocator(0);
            pool.submit(work);
        }
        blocker.release();
        done.await("work that had to wait for a thread");
    }
}
END_TEST

/// Work that waits for other work, as when one client's callback waits for another's.
START_TEST(the_destructor_still_grows_for_work_that_blocks) {
    Door last;
    std::atomic<int> in_vain{0};
    RecordingLog log;
    std::deque<Work> work;
    for (int i = 0; i < 10; ++i) {
        work.emplace_back([&] { in_vain += last.passed() ? 0 : 1; });
    }
    work.emplace_back([&] { last.open(); });
    {
        Pool pool({.max_threads = 20}, log);
        for (Work& one : work) pool.submit(one);
    }
    ck_assert_int_eq(in_vain, 0);
}
END_TEST

START_TEST(a_destructor_that_waits_for_blocked_threads_does_not_fill_the_log) {
    RecordingLog log;
    Work waiting([] {});
    std::optional<Pool> pool(std::in_place, PoolOptions{.max_threads = 1}, log);
    Blocker blocker(*pool);
    blocker.await_begun();
    pool->submit(waiting);
    log.await("WS0402");
    std::thread end([&] { pool.reset(); });
    ck_assert(!log.holds("WS0402", 3, 300ms));
    blocker.release();
    end.join();
}
END_TEST

/// More than are handed over at a time, and in a turn after which the loop waits for nothing else.
START_TEST(what_a_loop_submits_runs_in_order_also_what_its_last_turn_submits) {
    constexpr int kEach = 300;
    Door first_half;
    RecordingLog log;
    std::vector<int> order;  // the one thread's
    std::deque<Work> work;
    for (int i = 0; i < 2 * kEach; ++i) {
        work.emplace_back([&order, i] { order.push_back(i); });
    }
    Work signal([&] { first_half.open(); });
    {
        Pool pool({.max_threads = 1}, log);
        Service service;
        const auto submit = [&](std::size_t from) {
            for (std::size_t i = 0; i < kEach; ++i) pool.submit(work[from + i]);
        };
        Client client = service.connect({
            .on_message =
                [&](ConnectionId, Message) {
                    submit(0);
                    pool.submit(signal);
                    return Flow::more;
                },
            .on_close = [&](ConnectionId) { submit(kEach); },
        });
        client.peer.send_text("now");
        first_half.await("what waits for nothing but the end of a turn");
        service.stop();
    }
    ck_assert_uint_eq(order.size(), 2 * kEach);
    ck_assert(std::ranges::is_sorted(order));
}
END_TEST

WEBSOCKET_TEST_SUITE(pool) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, runs_what_is_submitted_on_another_thread);
    tcase_add_test(tests, first_come_first_served_on_one_thread);
    tcase_add_test(tests, the_destructor_runs_all_that_waits_also_what_the_last_tasks_submit);
    tcase_add_test(tests, what_a_loop_submits_runs_in_order_also_what_its_last_turn_submits);
    tcase_add_test(tests, a_task_that_submits_itself_never_runs_twice_at_once);
    tcase_add_test(tests, grows_when_all_threads_are_blocked_as_long_as_it_may);
    tcase_add_test(tests, says_when_all_threads_are_blocked_and_goes_on_when_one_is_free);
    tcase_add_test(tests, quick_work_is_left_to_idle_threads);
    tcase_add_test(tests, is_ready_with_as_many_threads_as_configured);
    tcase_add_test(tests, no_task_is_forgotten_however_threads_come_and_go);
    tcase_add_test(tests, without_memory_for_a_thread_it_is_not_ready_and_harms_nobody);
    tcase_add_test(tests, the_destructor_still_grows_for_work_that_blocks);
    tcase_add_test(tests, a_destructor_that_waits_for_blocked_threads_does_not_fill_the_log);
}
