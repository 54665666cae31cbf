// SPDX-License-Identifier: Apache-2.0
#include "base/byte_buffer.hpp"

#include <algorithm>
#include <array>
#include <new>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "failing_allocator.hpp"
#include "protocol/random.hpp"
#include "unit.hpp"

namespace {

using websocket::base::ByteBuffer;
using websocket::test::bytes;
using websocket::test::FailingAllocator;

std::string content(ByteBuffer& buffer) {
    const auto bytes = buffer.bytes();
    return {bytes.begin(), bytes.end()};
}

ByteBuffer holding(std::string_view text) {
    ByteBuffer buffer;
    buffer.append(bytes(text));
    return buffer;
}

bool throws_bad_alloc(ByteBuffer& buffer, std::size_t wanted) {
    try {
        static_cast<void>(buffer.space(wanted));
        return false;
    } catch (const std::bad_alloc&) {
        return true;
    }
}

}  // namespace

START_TEST(an_idle_connection_pays_one_pointer_and_no_memory) {
    static_assert(sizeof(ByteBuffer) == sizeof(void*));
    const FailingAllocator allocator;
    ByteBuffer buffer;
    buffer.append({});
    buffer.drop_front(0);
    buffer.drop_front(1);
    buffer.reset();
    const bool empty = buffer.empty() && buffer.size() == 0 && buffer.bytes().empty();
    ck_assert_uint_eq(FailingAllocator::count(), 0);
    ck_assert(empty);
}
END_TEST

START_TEST(keeps_bytes_in_order_however_they_are_cut) {
    std::string expected(10000, '\0');
    std::iota(expected.begin(), expected.end(), '\0');
    for (const std::size_t step : {1U, 2U, 7U, 111U, 112U, 113U, 4096U, 10000U}) {
        ByteBuffer buffer;
        for (std::size_t i = 0; i < expected.size(); i += step) {
            buffer.append(bytes(std::string_view(expected).substr(i, step)));
        }
        ck_assert_uint_eq(buffer.size(), expected.size());
        ck_assert(!buffer.empty());
        ck_assert(content(buffer) == expected);
    }
}
END_TEST

START_TEST(growing_byte_by_byte_reallocates_a_logarithm_of_times) {
    constexpr std::size_t kSize = 1U << 20;
    const std::array<std::uint8_t, 1> byte{'x'};
    std::size_t count = 0;
    std::size_t largest = 0;
    {
        const FailingAllocator allocator;
        ByteBuffer buffer;
        for (std::size_t i = 0; i < kSize; ++i) buffer.append(byte);
        count = FailingAllocator::count();
        largest = FailingAllocator::largest();
    }
    ck_assert_uint_le(count, 20);
    ck_assert_uint_le(largest, 2 * kSize + 64);
}
END_TEST

START_TEST(space_becomes_content_only_by_commit) {
    ByteBuffer buffer = holding("abc");
    const auto room = buffer.space(1000);
    ck_assert_uint_ge(room.size(), 1000);
    ck_assert(content(buffer) == "abc");
    room[0] = 'd';
    room[1] = 'e';
    buffer.commit(1);
    ck_assert(content(buffer) == "abcd");
    buffer.commit(1);
    ck_assert(content(buffer) == "abcde");
    std::ranges::fill(buffer.space(1000), std::uint8_t{'x'});  // all of the room may be written
    ck_assert(content(buffer) == "abcde");
}
END_TEST

START_TEST(what_was_reserved_is_filled_without_a_reallocation) {
    ByteBuffer buffer = holding("abc");
    buffer.reserve(5000);
    ck_assert_uint_ge(buffer.capacity(), 5000);
    buffer.reserve(1);  // less than there is: nothing happens
    const std::string more(4997, 'x');
    const std::uint8_t* where = buffer.bytes().data();
    buffer.append(bytes(more));
    ck_assert_ptr_eq(buffer.bytes().data(), where);
    ck_assert(content(buffer) == "abc" + more);
}
END_TEST

START_TEST(asking_for_no_space_is_harmless) {
    ByteBuffer buffer = holding("abc");
    static_cast<void>(buffer.space(0));
    buffer.reserve(0);
    buffer.commit(0);
    ck_assert(content(buffer) == "abc");
}
END_TEST

START_TEST(asking_an_empty_buffer_for_no_space_is_harmless) {
    ByteBuffer buffer;
    static_cast<void>(buffer.space(0));
    ck_assert(buffer.empty());
}
END_TEST

START_TEST(reserving_nothing_in_an_empty_buffer_is_harmless) {
    ByteBuffer buffer;
    buffer.reserve(0);
    ck_assert(buffer.empty());
}
END_TEST

START_TEST(dropping_the_front_keeps_the_rest) {
    const std::string text = "0123456789";
    for (std::size_t count = 0; count <= text.size() + 2; ++count) {
        const std::string rest = text.substr(std::min(count, text.size()));
        ByteBuffer buffer = holding(text);
        buffer.drop_front(count);
        ck_assert(content(buffer) == rest);
        buffer.append(bytes("!"));
        ck_assert(content(buffer) == rest + "!");
    }
}
END_TEST

START_TEST(a_moved_buffer_takes_its_bytes_along) {
    ByteBuffer from = holding("abc");
    const std::uint8_t* where = from.bytes().data();
    ByteBuffer to = std::move(from);
    ck_assert(from.empty());  // NOLINT(bugprone-use-after-move): promised to be empty
    ck_assert_ptr_eq(to.bytes().data(), where);
    from.append(bytes("new"));
    ck_assert(content(from) == "new");
    ck_assert(content(to) == "abc");

    ByteBuffer other = holding("other");
    other = std::move(to);
    ck_assert(content(other) == "abc");
    ByteBuffer& same = other;
    other = std::move(same);
    ck_assert(content(other) == "abc");
}
END_TEST

START_TEST(a_reset_buffer_can_be_used_again) {
    ByteBuffer buffer = holding("abc");
    buffer.reset();
    ck_assert(buffer.empty());
    buffer.reset();
    buffer.append(bytes("again"));
    ck_assert(content(buffer) == "again");
}
END_TEST

START_TEST(an_absurd_size_is_bad_alloc_and_not_an_overflow) {
    for (const std::string_view text : {std::string_view{}, std::string_view{"abc"}}) {
        ByteBuffer buffer = holding(text);
        for (const std::size_t wanted : {SIZE_MAX, SIZE_MAX - 3, SIZE_MAX / 2 + 1, SIZE_MAX / 2}) {
            ck_assert(throws_bad_alloc(buffer, wanted));
            ck_assert(content(buffer) == text);
        }
    }
}
END_TEST

START_TEST(failing_memory_leaves_the_content_as_it_was) {
    std::string text(6000, '\0');
    std::iota(text.begin(), text.end(), '\0');
    const std::string_view view = text;
    ByteBuffer buffer;
    const std::size_t failures = websocket::test::fail_each_allocation(
        [&] {
            while (buffer.size() < view.size()) {
                buffer.append(bytes(view.substr(buffer.size(), 300)));
            }
        },
        [&](bool failed) {
            ck_assert(content(buffer) == view.substr(0, buffer.size()));
            ck_assert(failed == (buffer.size() < view.size()));
            if (failed) buffer.reset();
        });
    ck_assert_uint_ge(failures, 4);
}
END_TEST

WEBSOCKET_TEST_SUITE(byte_buffer) {
    tcase_add_test(tests, an_idle_connection_pays_one_pointer_and_no_memory);
    tcase_add_test(tests, keeps_bytes_in_order_however_they_are_cut);
    tcase_add_test(tests, growing_byte_by_byte_reallocates_a_logarithm_of_times);
    tcase_add_test(tests, space_becomes_content_only_by_commit);
    tcase_add_test(tests, what_was_reserved_is_filled_without_a_reallocation);
    tcase_add_test(tests, asking_for_no_space_is_harmless);
    tcase_add_test(tests, asking_an_empty_buffer_for_no_space_is_harmless);
    tcase_add_test(tests, reserving_nothing_in_an_empty_buffer_is_harmless);
    tcase_add_test(tests, dropping_the_front_keeps_the_rest);
    tcase_add_test(tests, a_moved_buffer_takes_its_bytes_along);
    tcase_add_test(tests, a_reset_buffer_can_be_used_again);
    tcase_add_test(tests, an_absurd_size_is_bad_alloc_and_not_an_overflow);
    tcase_add_test(tests, failing_memory_leaves_the_content_as_it_was);
}
