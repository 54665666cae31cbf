// SPDX-License-Identifier: Apache-2.0
#include "httpd/takeover/pump_places.hpp"

#include <apr_general.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vector>

#include "unit.hpp"

using websocket::httpd::PumpPlace;
using websocket::httpd::PumpPlaces;

namespace {

apr_pool_t* pool = nullptr;

void make_pool() {
    apr_initialize();
    apr_pool_create(&pool, nullptr);
}

void destroy_pool() {
    apr_pool_destroy(pool);
    apr_terminate();
}

/// What `work` returns, in a child process.
template <class Work>
int in_child(Work work) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::_exit(work());
    }
    int status = 0;
    ck_assert_int_eq(::waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

START_TEST(gives_as_many_places_as_there_are) {
    const PumpPlaces places(pool, 3, PumpPlaces::For::each_child);
    ck_assert_uint_eq(places.count(), 3);
    std::vector<PumpPlace> taken;
    for (int i = 0; i < 3; ++i) {
        auto place = places.take();
        ck_assert(place.has_value());
        taken.push_back(std::move(*place));
    }
    ck_assert(!places.take().has_value());
    taken.pop_back();
    ck_assert(places.take().has_value());  // and gives it back at once
    ck_assert(places.take().has_value());
}
END_TEST

START_TEST(no_places_are_none) {
    ck_assert(!PumpPlaces().take().has_value());
    ck_assert(!PumpPlaces(pool, 0, PumpPlaces::For::all_children).take().has_value());
}
END_TEST

START_TEST(each_child_has_its_own) {
    const PumpPlaces places(pool, 1, PumpPlaces::For::each_child);
    const auto ours = places.take();
    ck_assert(ours.has_value());
    // Taken by a process that lives, as far as the copy in the child knows.
    const PumpPlaces others(pool, 1, PumpPlaces::For::each_child);
    ck_assert_int_eq(in_child([&] { return others.take().has_value() ? 1 : 0; }), 1);
    ck_assert_int_eq(in_child([&] {
                         const auto theirs = others.take();
                         return theirs.has_value() && !others.take().has_value() ? 1 : 0;
                     }),
                     1);
    ck_assert(others.take().has_value());
}
END_TEST

START_TEST(all_children_share) {
    const PumpPlaces places(pool, 1, PumpPlaces::For::all_children);
    {
        const auto ours = places.take();
        ck_assert_int_eq(in_child([&] { return places.take().has_value() ? 1 : 0; }), 0);
    }
    ck_assert_int_eq(in_child([&] { return places.take().has_value() ? 1 : 0; }), 1);
}
END_TEST

START_TEST(a_child_that_died_with_its_place_does_not_keep_it) {
    const PumpPlaces places(pool, 1, PumpPlaces::For::all_children);
    ck_assert_int_eq(in_child([&] {
                         auto* kept = new std::optional<PumpPlace>(places.take());
                         return kept->has_value() ? 1 : 0;
                     }),
                     1);
    ck_assert(places.take().has_value());
}
END_TEST

WEBSOCKET_TEST_SUITE(pump_places) {
    tcase_add_checked_fixture(tests, make_pool, destroy_pool);
    tcase_add_test(tests, gives_as_many_places_as_there_are);
    tcase_add_test(tests, no_places_are_none);
    tcase_add_test(tests, each_child_has_its_own);
    tcase_add_test(tests, all_children_share);
    tcase_add_test(tests, a_child_that_died_with_its_place_does_not_keep_it);
}
