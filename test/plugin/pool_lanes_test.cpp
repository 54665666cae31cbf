// SPDX-License-Identifier: Apache-2.0
// What locations may take of a pool from each other, and what becomes of clients that are waited for.
#include <algorithm>
#include <deque>
#include <list>
#include <memory>
#include <string>

#include "engine/service.hpp"
#include "plugin/common/pool.hpp"
#include "plugin/pool_work.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::plugin::Pool;
using websocket::plugin::PoolLane;
using websocket::plugin::PoolWait;

namespace {

std::size_t begun(std::list<Blocker>& blockers) {
    return static_cast<std::size_t>(
        std::ranges::count_if(blockers, [](Blocker& one) { return one.begun(); }));
}

void await_begun(std::list<Blocker>& blockers, std::size_t count) {
    await_quietly([&] { return begun(blockers) >= count; }, "threads for blocking work");
}

/// A list ends from its front on, in the order in which they get threads.
void fill(std::list<Blocker>& blockers, std::size_t count, Pool& pool, PoolLane& lane) {
    while (count-- > 0) blockers.emplace_back(pool, lane);
}

/// Work is done for this lane, whatever the others hold.
void expect_service(Pool& pool, PoolLane& lane) {
    Door done;
    Work work(lane, [&] { done.open(); });
    pool.submit(work);
    done.await("work of another location");
}

/// Waits for a client in the pool until it is given up, or read.
class Patient {
public:
    Patient(Pool& pool, PoolLane& lane, std::chrono::hours patience = kForEver)
        : pool_(pool), lane_(lane), deadline_(PoolWait::Clock::now() + patience),
          work_(lane, [this] { wait(); }) {
        pool.submit(work_);
    }
    ~Patient() {
        over_.open();
        done_.await("the end of a wait");
    }
    void await_begun() { begun_.await("a thread that waits"); }
    void await_given_up() { given_up_.await("a client to be given up"); }
    [[nodiscard]] bool given_up() { return given_up_.passed(0ms); }

private:
    void wait() {
        {
            const PoolWait wait(
                pool_, lane_, deadline_,
                [](void* self) noexcept {
                    static_cast<Patient*>(self)->given_up_.open();
                    static_cast<Patient*>(self)->over_.open();
                },
                this);
            begun_.open();
            static_cast<void>(over_.passed(kForEver));
        }
        done_.open();
    }

    static constexpr std::chrono::hours kForEver{1};
    Pool& pool_;
    PoolLane& lane_;
    const PoolWait::Clock::time_point deadline_;
    Door begun_;
    Door given_up_;
    Door over_;
    Door done_;
    Work work_;
};

}  // namespace

START_TEST(a_location_whose_callbacks_block_leaves_threads_for_others) {
    RecordingLog log;
    Pool pool({.max_threads = 8, .shared = true}, log);
    PoolLane& slow = pool.lane("slow");
    std::list<Blocker> blockers;
    fill(blockers, 50, pool, slow);
    await_begun(blockers, 6);
    for (int i = 0; i < 100; ++i) expect_service(pool, pool.lane("other"));
    expect_service(pool, pool.lane("third"));
    ck_assert_uint_eq(begun(blockers), 6);
    while (!blockers.empty()) {
        blockers.front().await_begun();  // in their order, as threads become free
        blockers.pop_front();
    }
}
END_TEST

START_TEST(several_locations_whose_callbacks_block_leave_threads_for_another) {
    RecordingLog log;
    Pool pool({.max_threads = 64, .shared = true}, log);
    std::list<Blocker> blockers;
    for (const char* name : {"a", "b"}) fill(blockers, 64, pool, pool.lane(name));
    await_begun(blockers, 50);
    expect_service(pool, pool.lane("c"));
    ck_assert_uint_lt(begun(blockers), 64);
}
END_TEST

START_TEST(the_only_location_gets_all_threads) {
    RecordingLog log;
    Pool pool({.max_threads = 8}, log);
    std::list<Blocker> blockers;
    fill(blockers, 8, pool, pool.lane("lonely"));
    await_begun(blockers, 8);
}
END_TEST

START_TEST(a_location_without_a_thread_gets_the_last_one) {
    RecordingLog log;
    Pool pool({.max_threads = 2, .shared = true}, log);
    std::list<Blocker> blockers;
    fill(blockers, 3, pool, pool.lane("a"));
    blockers.front().await_begun();
    expect_service(pool, pool.lane("b"));
    ck_assert_uint_eq(begun(blockers), 1);
    while (!blockers.empty()) blockers.pop_front();  // each can end only when those before have
}
END_TEST

START_TEST(locations_have_their_turns_however_much_one_has_to_do) {
    RecordingLog log;
    std::vector<char> order;
    std::deque<Work> work;
    {
        Pool pool({.max_threads = 1, .shared = true}, log);
        Blocker blocker(pool);
        blocker.await_begun();
        const auto submit = [&](char name, int count) {
            while (count-- > 0) {
                work.emplace_back(pool.lane({name}), [&order, name] { order.push_back(name); });
                pool.submit(work.back());
            }
        };
        submit('a', 100);
        submit('b', 3);
        submit('c', 2);
    }
    ck_assert_uint_eq(order.size(), 105);
    ck_assert(std::string(order.begin(), order.begin() + 9) == "abcabcaba");
}
END_TEST

START_TEST(no_task_is_forgotten_while_lanes_are_held_back) {
    std::atomic<int> runs{0};
    RecordingLog log;
    std::deque<Work> work;
    {
        Pool pool({.max_threads = 4, .shared = true}, log);
        std::vector<std::thread> submitters;
        std::deque<std::deque<Work>> all(4);
        for (std::size_t i = 0; i < all.size(); ++i) {
            for (int j = 0; j < 3000; ++j) {
                all[i].emplace_back(pool.lane(std::to_string(i)), [&runs, j] {
                    if (j % 100 == 0) std::this_thread::sleep_for(100us);  // others pile up
                    ++runs;
                });
            }
            submitters.emplace_back([&, i] {
                for (Work& one : all[i]) pool.submit(one);
            });
        }
        for (std::thread& submitter : submitters) submitter.join();
        await_quietly([&] { return runs == 4 * 3000; }, "all tasks");
    }
}
END_TEST

START_TEST(the_log_names_the_location_that_has_used_up_its_share) {
    RecordingLog log;
    Pool pool({.max_threads = 4, .shared = true}, log);
    std::list<Blocker> blockers;
    fill(blockers, 10, pool, pool.lane("plugin x in section /slow"));
    log.await(
        "WS0402: all 3 threads of the plugin pool that one location may have, of 4, are blocked "
        "in callbacks of plugin x in section /slow");
    expect_service(pool, pool.lane("other"));
    ck_assert_uint_eq(log.count("WS0402"), 1);
}
END_TEST

START_TEST(the_log_names_the_location_that_holds_most_of_the_threads) {
    RecordingLog log;
    Pool pool({.max_threads = 4}, log);
    std::list<Blocker> blockers;
    fill(blockers, 4, pool, pool.lane("slow"));
    await_begun(blockers, 4);
    fill(blockers, 1, pool, pool.lane("slow"));
    log.await(
        "WS0402: all 4 threads of the plugin pool are blocked in callbacks, most of them of slow");
}
END_TEST

START_TEST(callbacks_that_end_are_not_called_blocked_however_many_wait) {
    RecordingLog log;
    std::deque<Work> work;
    {
        Pool pool({.max_threads = 1}, log);
        for (int i = 0; i < 60; ++i) {
            work.emplace_back([] { std::this_thread::sleep_for(20ms); });  // longer than a look
            pool.submit(work.back());
        }
    }
    ck_assert_uint_eq(log.count("WS0402"), 0);
}
END_TEST

START_TEST(the_client_that_was_waited_for_longest_is_given_up_when_no_thread_is_left) {
    RecordingLog log;
    Pool pool({.max_threads = 3}, log);
    PoolLane& lane = pool.lane("plugin x in section /chat");
    std::deque<Patient> patients;
    for (int i = 0; i < 3; ++i) {
        patients.emplace_back(pool, lane);
        patients.back().await_begun();
    }
    Blocker late(pool, lane);
    late.await_begun();
    ck_assert(patients[0].given_up());
    ck_assert(!patients[1].given_up());
    ck_assert(!patients[2].given_up());
    log.await(
        "WS0404: closed 1 clients with 1008 because they do not read: sends waited for them, the "
        "last one of plugin x in section /chat");
    Blocker later(pool, lane);
    later.await_begun();
    ck_assert(patients[1].given_up());
    ck_assert(!patients[2].given_up());
    ck_assert_uint_eq(log.count("WS0402"), 0);
}
END_TEST

START_TEST(a_location_with_its_share_gives_up_its_own_clients_only) {
    RecordingLog log;
    Pool pool({.max_threads = 4, .shared = true}, log);
    Patient other(pool, pool.lane("other"));
    other.await_begun();
    std::deque<Patient> patients;
    for (int i = 0; i < 2; ++i) {
        patients.emplace_back(pool, pool.lane("flooded"));
        patients.back().await_begun();
    }
    expect_service(pool, pool.lane("flooded"));
    ck_assert(patients[0].given_up());
    ck_assert(!patients[1].given_up());
    ck_assert(!other.given_up());
}
END_TEST

START_TEST(nobody_is_given_up_while_there_are_threads) {
    RecordingLog log;
    Pool pool({.max_threads = 4}, log);
    PoolLane& lane = pool.lane("x");
    std::deque<Patient> patients;
    for (int i = 0; i < 3; ++i) {
        patients.emplace_back(pool, lane);
        patients.back().await_begun();
    }
    for (int i = 0; i < 100; ++i) expect_service(pool, lane);
    for (Patient& patient : patients) ck_assert(!patient.given_up());
}
END_TEST

START_TEST(a_wait_ends_at_its_deadline_and_no_other_with_it) {
    RecordingLog log;
    Pool pool({.max_threads = 4}, log);
    PoolLane& lane = pool.lane("plugin x in section /chat");
    Patient patient(pool, lane);
    patient.await_begun();
    Patient hasty(pool, lane, 0h);
    hasty.await_given_up();
    log.await(
        "WS0405: closed 1 clients with 1008 because they do not read: sends to them, the last one "
        "of plugin x in section /chat");
    ck_assert(!patient.given_up());
}
END_TEST

START_TEST(a_wait_outside_of_the_pool_ends_at_its_deadline_only) {
    Door early;
    Door late;
    RecordingLog log;
    Pool pool({.max_threads = 1}, log);
    PoolLane& lane = pool.lane("x");
    const auto open = [](void* door) noexcept { static_cast<Door*>(door)->open(); };
    const PoolWait first(pool, lane, PoolWait::kNever, open, &late);
    const PoolWait second(pool, lane, PoolWait::Clock::now(), open, &early);
    early.await("the deadline");
    Patient patient(pool, lane);
    patient.await_begun();
    expect_service(pool, lane);
    ck_assert(patient.given_up());
    ck_assert(!late.passed(0ms));
}
END_TEST

WEBSOCKET_TEST_SUITE(pool_lanes) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, a_location_whose_callbacks_block_leaves_threads_for_others);
    tcase_add_test(tests, several_locations_whose_callbacks_block_leave_threads_for_another);
    tcase_add_test(tests, the_only_location_gets_all_threads);
    tcase_add_test(tests, a_location_without_a_thread_gets_the_last_one);
    tcase_add_test(tests, locations_have_their_turns_however_much_one_has_to_do);
    tcase_add_test(tests, no_task_is_forgotten_while_lanes_are_held_back);
    tcase_add_test(tests, the_log_names_the_location_that_has_used_up_its_share);
    tcase_add_test(tests, the_log_names_the_location_that_holds_most_of_the_threads);
    tcase_add_test(tests, callbacks_that_end_are_not_called_blocked_however_many_wait);
    tcase_add_test(tests,
                   the_client_that_was_waited_for_longest_is_given_up_when_no_thread_is_left);
    tcase_add_test(tests, a_location_with_its_share_gives_up_its_own_clients_only);
    tcase_add_test(tests, nobody_is_given_up_while_there_are_threads);
    tcase_add_test(tests, a_wait_ends_at_its_deadline_and_no_other_with_it);
    tcase_add_test(tests, a_wait_outside_of_the_pool_ends_at_its_deadline_only);
}
