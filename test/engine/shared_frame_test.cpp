// SPDX-License-Identifier: Apache-2.0
#include "engine/shared_frame.hpp"

#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/peer.hpp"
#include "failing_allocator.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::engine::SharedFrame;

START_TEST(an_empty_reference_has_no_bytes) {
    const SharedFrame nothing;
    const SharedFrame copy = nothing;
    ck_assert(!nothing && !copy);
    ck_assert(copy.bytes().empty());
}
END_TEST

START_TEST(holds_what_goes_on_the_wire) {
    const SharedFrame frame = SharedFrame::build(Opcode::text, bytes("hello"));
    ck_assert(text_of(frame.bytes()) == "\x81\x05hello");
    const SharedFrame empty = SharedFrame::build(Opcode::pong, {});
    ck_assert(text_of(empty.bytes()) == std::string("\x8A\0", 2));
    const SharedFrame joined = SharedFrame::join(bytes("one"), bytes("two"));
    ck_assert(text_of(joined.bytes()) == "onetwo");
}
END_TEST

START_TEST(tells_a_whole_frame_from_bytes_that_are_none) {
    for (const std::size_t size : {0U, 125U, 126U, 0xFFFFU, 0x10000U}) {
        const SharedFrame whole = SharedFrame::build(Opcode::text, bytes(std::string(size, 'p')));
        ck_assert_msg(whole.is_whole(), "%zu", size);
        const auto all = whole.bytes();
        ck_assert(!SharedFrame::join(all.first(all.size() - 1), {}).is_whole());
        ck_assert(!SharedFrame::join(all, bytes("x")).is_whole());
    }
    for (const std::string_view other :
         {"", "\x81", "\x81\x7e", "\x81\x7f", "\x81\x7e\1", "\x81\x81mask"}) {
        ck_assert(!SharedFrame::join(bytes(other), {}).is_whole());
    }
}
END_TEST

START_TEST(others_may_be_put_behind_it_whatever_their_size) {
    std::string expected = "\x81\x05hello";
    SharedFrame frames = SharedFrame::build(Opcode::text, bytes("hello"));
    for (const std::size_t size : {0U, 1U, 100U, 3'000U, 5U, 10'000U, 2U}) {
        const std::string payload(size, 'p');
        frames.append(bytes("head"), bytes(payload));
        expected += "head" + payload;
        ck_assert_msg(text_of(frames.bytes()) == expected, "%zu", size);
    }
}
END_TEST

START_TEST(without_memory_nothing_is_put_behind_it) {
    SharedFrame frame = SharedFrame::build(Opcode::text, bytes("hello"));
    bool failed = false;
    {
        const FailingAllocator allocator(0);
        try {
            frame.append(bytes("head"), bytes("more"));
        } catch (const std::bad_alloc&) {
            failed = true;
        }
    }
    ck_assert(failed);
    ck_assert(text_of(frame.bytes()) == "\x81\x05hello");
}
END_TEST

START_TEST(one_allocation_serves_any_number_of_copies) {
    std::size_t allocations = 0;
    {
        const FailingAllocator allocator;
        const SharedFrame frame = SharedFrame::build(Opcode::text, bytes("hello"));
        SharedFrame copy = frame;
        SharedFrame assigned;
        assigned = copy;
        copy = std::move(assigned);
        allocations = FailingAllocator::count();
    }
    ck_assert_uint_eq(allocations, 1);
}
END_TEST

START_TEST(moving_leaves_nothing_behind_and_self_assignment_loses_nothing) {
    SharedFrame frame = SharedFrame::build(Opcode::text, bytes("x"));
    const std::uint8_t* bytes = frame.bytes().data();
    SharedFrame moved = std::move(frame);
    ck_assert_ptr_eq(moved.bytes().data(), bytes);
    SharedFrame& same = moved;
    moved = same;
    ck_assert_ptr_eq(moved.bytes().data(), bytes);
}
END_TEST

START_TEST(threads_may_drop_their_references_in_any_order) {
    for (int round = 0; round < 200; ++round) {
        SharedFrame frame = SharedFrame::build(Opcode::binary, bytes(std::string(100, 'x')));
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; ++i) {
            threads.emplace_back([copy = frame] {
                SharedFrame another = copy;
                if (another.bytes().back() != 'x') std::abort();
            });
        }
        frame = {};
        for (std::thread& thread : threads) thread.join();
    }
}
END_TEST

WEBSOCKET_TEST_SUITE(shared_frame) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, an_empty_reference_has_no_bytes);
    tcase_add_test(tests, holds_what_goes_on_the_wire);
    tcase_add_test(tests, tells_a_whole_frame_from_bytes_that_are_none);
    tcase_add_test(tests, others_may_be_put_behind_it_whatever_their_size);
    tcase_add_test(tests, without_memory_nothing_is_put_behind_it);
    tcase_add_test(tests, one_allocation_serves_any_number_of_copies);
    tcase_add_test(tests, moving_leaves_nothing_behind_and_self_assignment_loses_nothing);
    tcase_add_test(tests, threads_may_drop_their_references_in_any_order);
}
