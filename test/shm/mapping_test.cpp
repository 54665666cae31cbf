// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "shm/mapping.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <utility>

#include "unit.hpp"

using websocket::shm::Mapping;

namespace {

std::span<volatile char> bytes_of(const Mapping& mapping) {
    return {static_cast<volatile char*>(mapping.data()), mapping.size()};
}

void write_in_child(const Mapping& mapping) {
    const pid_t child = ::fork();
    if (child == 0) {
        bytes_of(mapping)[1] = 7;
        ::_exit(0);
    }
    ck_assert_int_eq(::waitpid(child, nullptr, 0), child);
}

}  // namespace

START_TEST(what_a_child_writes_its_parent_sees_only_if_it_is_shared) {
    const Mapping shared(2);
    write_in_child(shared);
    ck_assert_int_eq(bytes_of(shared)[0], 0);
    ck_assert_int_eq(bytes_of(shared)[1], 7);
    const Mapping copied(2, Mapping::For::each_process);
    write_in_child(copied);
    ck_assert_int_eq(bytes_of(copied)[1], 0);
}
END_TEST

START_TEST(the_system_says_why_there_is_no_memory) {
    std::error_code error;
    const Mapping none(SIZE_MAX / 2, Mapping::For::all_processes, error);
    ck_assert(!none.valid());
    ck_assert(error == std::errc::not_enough_memory);
    int thrown = 0;
    try {
        const Mapping never(SIZE_MAX / 2);
        thrown = never.valid() ? -1 : 0;
    } catch (const std::system_error& refused) {
        thrown = refused.code().value();
    }
    ck_assert_int_eq(thrown, ENOMEM);
    const Mapping some(1, Mapping::For::all_processes, error);
    ck_assert(some.valid() && !error);
}
END_TEST

START_TEST(wiping_leaves_what_stands_beside_the_part) {
    const std::size_t page = Mapping::whole_pages(1);
    for (const auto whom : {Mapping::For::all_processes, Mapping::For::each_process}) {
        Mapping mapping(3 * page, whom);
        const auto bytes = bytes_of(mapping);
        const auto wiped = [&](std::size_t from, std::size_t size) {
            std::ranges::fill(bytes, '\1');
            mapping.wipe(from, size);
            return std::ranges::all_of(bytes.subspan(from, size), [](char c) { return c == 0; }) &&
                   static_cast<std::size_t>(std::ranges::count(bytes, '\0')) == size;
        };
        ck_assert(wiped(page, page));
        ck_assert(wiped(page, 10));
        ck_assert(wiped(page + 10, page));
        ck_assert(wiped(0, 3 * page));
    }
}
END_TEST

START_TEST(one_that_moves_is_unmapped_once_and_one_that_is_released_stays) {
    Mapping first(1);
    bytes_of(first)[0] = 1;
    Mapping second(std::move(first));
    ck_assert(second.valid());
    Mapping third;
    ck_assert(!third.valid());
    third = std::move(second);
    ck_assert_int_eq(bytes_of(third)[0], 1);
    auto* const kept = static_cast<volatile char*>(third.release());
    ck_assert(!third.valid());
    third = Mapping(1);
    ck_assert_int_eq(*kept, 1);
}
END_TEST

WEBSOCKET_TEST_SUITE(mapping) {
    tcase_add_test(tests, what_a_child_writes_its_parent_sees_only_if_it_is_shared);
    tcase_add_test(tests, the_system_says_why_there_is_no_memory);
    tcase_add_test(tests, wiping_leaves_what_stands_beside_the_part);
    tcase_add_test(tests, one_that_moves_is_unmapped_once_and_one_that_is_released_stays);
}
