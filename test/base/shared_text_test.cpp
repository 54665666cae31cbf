// SPDX-License-Identifier: Apache-2.0
#include "base/shared_text.hpp"

#include <string>
#include <thread>
#include <vector>

#include "failing_allocator.hpp"
#include "unit.hpp"

using websocket::base::SharedText;
using websocket::test::FailingAllocator;

START_TEST(equal_bytes_are_there_once_and_go_with_the_last_user) {
    const std::size_t before = SharedText::count();
    {
        const SharedText first(std::string("a\0b", 3));
        {
            const SharedText second(std::string("a\0b", 3));
            ck_assert_ptr_eq(first.data(), second.data());
            ck_assert_uint_eq(SharedText::count(), before + 1);
        }
        ck_assert(std::string(first.data(), 3) == std::string("a\0b", 3));
        ck_assert_uint_eq(SharedText::count(), before + 1);
    }
    ck_assert_uint_eq(SharedText::count(), before);
}
END_TEST

START_TEST(bytes_that_differ_are_not_taken_for_each_other) {
    const std::size_t before = SharedText::count();
    const SharedText one("same");
    const SharedText longer("same ");
    const SharedText other("Same");
    const SharedText none("");
    ck_assert_uint_eq(SharedText::count(), before + 4);
    ck_assert(std::string(other.data(), 4) == "Same");
}
END_TEST

START_TEST(is_moved_with_its_share) {
    const std::size_t before = SharedText::count();
    {
        SharedText first("moved");
        SharedText second(std::move(first));
        SharedText third;
        ck_assert_ptr_null(third.data());
        third = std::move(second);
        ck_assert(std::string(third.data(), 5) == "moved");
        ck_assert_uint_eq(SharedText::count(), before + 1);
    }
    ck_assert_uint_eq(SharedText::count(), before);
}
END_TEST

START_TEST(without_memory_nothing_is_left) {
    const std::size_t before = SharedText::count();
    const std::string text(100, 'x');
    for (std::size_t allowed = 0; allowed < 2; ++allowed) {
        bool threw = false;
        {
            const FailingAllocator allocator(allowed);
            try {
                const SharedText poor(text);
            } catch (const std::bad_alloc&) {
                threw = true;
            }
        }
        ck_assert(threw);
        ck_assert_uint_eq(SharedText::count(), before);
    }
    const SharedText rich(text);
    ck_assert_uint_eq(SharedText::count(), before + 1);
}
END_TEST

START_TEST(threads_share_and_drop_the_same_bytes_at_the_same_time) {
    const std::size_t before = SharedText::count();
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([] {
            for (int turn = 0; turn < 2000; ++turn) {
                const std::string text = "text " + std::to_string(turn % 3);
                const SharedText mine(text);
                ck_assert(std::string_view(mine.data(), text.size()) == text);
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    ck_assert_uint_eq(SharedText::count(), before);
}
END_TEST

WEBSOCKET_TEST_SUITE(shared_text) {
    tcase_add_test(tests, equal_bytes_are_there_once_and_go_with_the_last_user);
    tcase_add_test(tests, bytes_that_differ_are_not_taken_for_each_other);
    tcase_add_test(tests, is_moved_with_its_share);
    tcase_add_test(tests, without_memory_nothing_is_left);
    tcase_add_test(tests, threads_share_and_drop_the_same_bytes_at_the_same_time);
}
