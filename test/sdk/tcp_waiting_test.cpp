// SPDX-License-Identifier: Apache-2.0
#include "../../plugins/tcp_waiting.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "unit.hpp"

using tcp::Place;
using tcp::Places;

START_TEST(no_more_have_a_place_than_may) {
    Places& places = Places::shared();
    Place one(places, "target", 2);
    ck_assert(one.take());
    ck_assert(one.take());  // it has it already
    {
        Place two(places, "target", 2);
        ck_assert(two.take());
        Place three(places, "target", 2);
        ck_assert(!three.take());
        Place other(places, "another target", 2);
        ck_assert(other.take());
    }
    Place four(places, "target", 2);
    ck_assert(four.take());
}
END_TEST

START_TEST(there_are_never_more_when_all_come_at_once) {
    Places& places = Places::shared();
    std::atomic<int> holders{0};
    std::atomic<int> most{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back([&] {
            for (int turn = 0; turn < 500; ++turn) {
                Place place(places, "target", 3);
                if (!place.take()) continue;
                const int now = ++holders;
                for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
                }
                --holders;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    ck_assert_int_ge(most, 1);
    ck_assert_int_le(most, 3);
}
END_TEST

START_TEST(the_place_of_a_process_that_was_killed_is_free_again) {
    Places& places = Places::shared();
    int ready[2];
    ck_assert_int_eq(::pipe(ready), 0);
    const pid_t child = ::fork();
    if (child == 0) {
        Place place(places, "target", 1);
        const char taken = place.take() ? 'y' : 'n';
        if (::write(ready[1], &taken, 1) == 1) ::pause();
        ::_exit(1);
    }
    char taken = 0;
    ck_assert_int_eq(::read(ready[0], &taken, 1), 1);
    ck_assert_int_eq(taken, 'y');
    Place place(places, "target", 1);
    ck_assert(!place.take());
    ::kill(child, SIGKILL);
    ck_assert_int_eq(::waitpid(child, nullptr, 0), child);
    ck_assert(place.take());
    ::close(ready[0]);
    ::close(ready[1]);
}
END_TEST

WEBSOCKET_TEST_SUITE(tcp_waiting) {
    tcase_add_test(tests, no_more_have_a_place_than_may);
    tcase_add_test(tests, there_are_never_more_when_all_come_at_once);
    tcase_add_test(tests, the_place_of_a_process_that_was_killed_is_free_again);
}
