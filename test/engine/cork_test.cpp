// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "engine/cork.hpp"

#include <string>

#include "engine/peer.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::engine::Cork;
using websocket::protocol::Opcode;

START_TEST(collects_frames_in_order) {
    Cork cork;
    ck_assert(cork.empty());
    ck_assert_ptr_null(cork.owner());
    ck_assert(cork.append(Opcode::text, bytes("one")));
    ck_assert(cork.append(bytes("two")));
    ck_assert(!cork.empty());
    ck_assert(text_of(cork.bytes()) == "\x81\x03onetwo");
    cork.clear();
    ck_assert(cork.empty());
    ck_assert(cork.bytes().empty());
}
END_TEST

START_TEST(takes_small_frames_until_it_is_full) {
    Cork cork;
    const std::string largest(Cork::kLargestFrame, 'x');
    for (std::size_t filled = 0; filled < Cork::kCapacity; filled += largest.size()) {
        ck_assert(cork.append(bytes(largest)));
    }
    ck_assert_uint_eq(cork.bytes().size(), Cork::kCapacity);
    ck_assert(!cork.append(bytes("x")));
    ck_assert_uint_eq(cork.bytes().size(), Cork::kCapacity);
    cork.clear();
    ck_assert(!cork.append(bytes(largest + "x")));
    ck_assert(!cork.append(Opcode::binary, bytes(largest)));
    ck_assert(cork.append(bytes(largest)));
}
END_TEST

START_TEST(writes_no_further_than_its_end) {
    Cork cork;
    std::size_t filled = 0;
    while (cork.append(Opcode::text, bytes("ab"))) {
        filled += 4;
        ck_assert_uint_eq(cork.bytes().size(), filled);
    }
    ck_assert_uint_gt(filled, Cork::kCapacity - 32);
}
END_TEST

WEBSOCKET_TEST_SUITE(cork) {
    tcase_add_test(tests, writes_no_further_than_its_end);
    tcase_add_test(tests, collects_frames_in_order);
    tcase_add_test(tests, takes_small_frames_until_it_is_full);
}
