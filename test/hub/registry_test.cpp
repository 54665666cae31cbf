// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "hub/registry.hpp"

#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <system_error>

#include "unit.hpp"

using websocket::hub::Registry;

namespace {

/// Runs `work` in a child process and waits for its end; that process.
pid_t in_a_child(const std::function<void()>& work) {
    const pid_t child = ::fork();
    if (child == 0) {
        work();
        ::_exit(0);
    }
    int status = 0;
    ck_assert_int_eq(::waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    return child;
}

}  // namespace

START_TEST(what_one_process_says_others_see) {
    Registry registry = Registry::create(4);
    in_a_child([&] {
        const auto slot = registry.claim(11);
        registry.set_wants(*slot, 5, true);
        registry.set_wants(*slot, Registry::kBuckets - 1, true);
        registry.set_wants(*slot, 6, true);
        registry.set_wants(*slot, 6, false);
    });
    ck_assert_uint_eq(registry.slots_used(), 1);
    ck_assert_uint_eq(registry.address(0), 11);
    ck_assert(registry.wants(0, 5));
    ck_assert(registry.wants(0, Registry::kBuckets - 1));
    ck_assert(!registry.wants(0, 6));
    ck_assert(!registry.wants(1, 5));
}
END_TEST

START_TEST(a_slot_has_one_process) {
    Registry registry = Registry::create(2);
    ck_assert_uint_eq(registry.claim(1).value(), 0);
    ck_assert_uint_eq(registry.claim(2).value(), 1);
    ck_assert(!registry.claim(3).has_value());
    registry.release(0, 99);
    ck_assert(!registry.claim(3).has_value());
    registry.release(0, 1);
    ck_assert_uint_eq(registry.address(0), 0);
    ck_assert_uint_eq(registry.claim(3).value(), 0);
    registry.release(0, 1);
    ck_assert_uint_eq(registry.address(0), 3);
}
END_TEST

START_TEST(who_claims_a_slot_wants_nothing_of_what_the_one_before_wanted) {
    Registry registry = Registry::create(2);
    static_cast<void>(registry.claim(1));
    registry.set_wants(0, 77, true);
    registry.release(0, 1);
    static_cast<void>(registry.claim(2));
    ck_assert(!registry.wants(0, 77));
}
END_TEST

START_TEST(the_slot_of_a_process_that_has_ended_is_free_for_others) {
    enum class Told : std::uint8_t { which, that_some_ended, nothing };
    for (const Told told : {Told::which, Told::that_some_ended, Told::nothing}) {
        Registry registry = Registry::create(2);
        const pid_t ended = in_a_child([&] { static_cast<void>(registry.claim(11)); });
        static_cast<void>(registry.claim(22));
        ck_assert_uint_eq(registry.address(0), 11);
        if (told == Told::which) {
            registry.reap(ended);
        } else if (told == Told::that_some_ended) {
            registry.reap_ended();
        }
        ck_assert_uint_eq(registry.claim(33).value(), 0);
        registry.release(0, 11);  // somebody noticed late
        ck_assert_uint_eq(registry.address(0), 33);
        ck_assert_uint_eq(registry.address(1), 22);
        ck_assert(!registry.claim(44).has_value());
    }
}
END_TEST

START_TEST(a_slot_of_a_later_process_is_not_freed_for_one_that_ended) {
    Registry registry = Registry::create(1);
    const pid_t ended = in_a_child([&] { static_cast<void>(registry.claim(11)); });
    registry.release(0, 11);  // somebody finds that it does not listen any more
    ck_assert_uint_eq(registry.claim(22).value(), 0);
    registry.reap(ended);  // and the parent is told of its end
    registry.release(0, 11);
    ck_assert_uint_eq(registry.address(0), 22);
    ck_assert(!registry.claim(33).has_value());
}
END_TEST

START_TEST(a_process_that_is_killed_at_any_moment_leaves_no_address_and_no_slot) {
    Registry registry = Registry::create(1);
    for (int round = 0; round < 50; ++round) {
        const pid_t child = ::fork();
        if (child == 0) {
            for (;;) registry.release(registry.claim(11).value(), 11);
        }
        while (registry.address(0) == 0) ::sched_yield();
        ::kill(child, SIGKILL);
        ck_assert_int_eq(::waitpid(child, nullptr, 0), child);
        registry.reap(child);
        ck_assert_uint_eq(registry.address(0), 0);
        ck_assert_uint_eq(registry.claim(33).value(), 0);
        ck_assert_uint_eq(registry.address(0), 33);
        registry.release(0, 33);
    }
}
END_TEST

START_TEST(a_later_configuration_finds_it_unless_it_needs_more_slots) {
    Registry registry = Registry::create(3);
    static_cast<void>(registry.claim(5));
    const std::optional<Registry> again = Registry::at(registry.memory(), 2);
    ck_assert(again.has_value());
    ck_assert_uint_eq(again->address(0), 5);
    ck_assert(again->secret() == registry.secret());
    ck_assert(again->hash_key() == registry.hash_key());
    ck_assert(!Registry::at(registry.memory(), 4).has_value());
    ck_assert(!Registry::at(nullptr, 1).has_value());
    *static_cast<std::uint64_t*>(registry.memory()) += 1;
    ck_assert(!Registry::at(registry.memory(), 2).has_value());
}
END_TEST

START_TEST(no_two_registries_have_the_same_secrets) {
    const Registry first = Registry::create(1);
    const Registry second = Registry::create(1);
    ck_assert(first.secret() != second.secret());
    ck_assert(first.hash_key() != second.hash_key());
}
END_TEST

START_TEST(too_many_slots_are_refused) {
    bool refused = false;
    try {
        // Many more bytes than the address space has.
        const Registry registry = Registry::create(UINT32_MAX);
        refused = registry.memory() == nullptr;
    } catch (const std::system_error&) {
        refused = true;
    }
    ck_assert(refused);
}
END_TEST

START_TEST(there_is_one_bridge_at_a_time_and_it_gets_all) {
    Registry registry = Registry::create(3);
    ck_assert_uint_eq(registry.bridge(), 0);
    ck_assert_uint_eq(registry.claim(5).value(), 0);
    ck_assert_uint_eq(registry.claim(6).value(), 1);
    ck_assert(registry.set_bridge(1));
    ck_assert(!registry.set_bridge(0));
    ck_assert_uint_eq(registry.bridge(), 6);
    ck_assert_uint_eq(registry.slot_at(6).value(), 1);
    ck_assert(!registry.slot_at(7).has_value());
    ck_assert(registry.wants(1, 0) && registry.wants(1, Registry::kBuckets - 1));
    ck_assert(!registry.wants(0, 0));
    registry.release(0, 5);
    ck_assert_uint_eq(registry.bridge(), 6);
    registry.release(1, 6);
    ck_assert_uint_eq(registry.bridge(), 0);
    ck_assert(registry.claim(7).has_value() && registry.claim(8).has_value());
    ck_assert(!registry.wants(1, 0));
    ck_assert(registry.set_bridge(0));
}
END_TEST

START_TEST(a_bridge_that_is_killed_makes_way_for_another_one) {
    Registry registry = Registry::create(2);
    in_a_child([&] { ck_assert(registry.set_bridge(registry.claim(1).value())); });
    ck_assert_uint_eq(registry.bridge(), 1);
    registry.reap_ended();
    ck_assert_uint_eq(registry.bridge(), 0);
}
END_TEST

START_TEST(another_program_finds_it_by_its_file) {
    Registry registry = Registry::create(2);
    static_cast<void>(registry.claim(5));
    Registry other = Registry::open(registry.file()).value();
    ck_assert_ptr_ne(other.memory(), registry.memory());
    ck_assert_uint_eq(other.address(0), 5);
    ck_assert(other.secret() == registry.secret());
    ck_assert_uint_eq(other.claim(6).value(), 1);
    ck_assert_uint_eq(registry.address(1), 6);
    registry.bridge_counts().gaps.store(3);
    ck_assert_uint_eq(other.bridge_counts().gaps.load(), 3);
}
END_TEST

START_TEST(a_file_that_is_none_is_refused) {
    const int empty = ::memfd_create("empty", MFD_CLOEXEC);
    ck_assert(!Registry::open(empty).has_value());
    ck_assert_int_eq(::ftruncate(empty, 1 << 20), 0);
    ck_assert(!Registry::open(empty).has_value());
    ::close(empty);
    Registry registry = Registry::create(2);
    ck_assert_int_eq(::ftruncate(registry.file(), 1 << 20), 0);
    ck_assert(!Registry::open(registry.file()).has_value());
}
END_TEST

WEBSOCKET_TEST_SUITE(registry) {
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, what_one_process_says_others_see);
    tcase_add_test(tests, a_slot_has_one_process);
    tcase_add_test(tests, who_claims_a_slot_wants_nothing_of_what_the_one_before_wanted);
    tcase_add_test(tests, the_slot_of_a_process_that_has_ended_is_free_for_others);
    tcase_add_test(tests, a_slot_of_a_later_process_is_not_freed_for_one_that_ended);
    tcase_add_test(tests, a_process_that_is_killed_at_any_moment_leaves_no_address_and_no_slot);
    tcase_add_test(tests, a_later_configuration_finds_it_unless_it_needs_more_slots);
    tcase_add_test(tests, no_two_registries_have_the_same_secrets);
    tcase_add_test(tests, too_many_slots_are_refused);
    tcase_add_test(tests, there_is_one_bridge_at_a_time_and_it_gets_all);
    tcase_add_test(tests, a_bridge_that_is_killed_makes_way_for_another_one);
    tcase_add_test(tests, another_program_finds_it_by_its_file);
    tcase_add_test(tests, a_file_that_is_none_is_refused);
}
