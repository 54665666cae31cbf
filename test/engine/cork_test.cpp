// SPDX-License-Identifier: Apache-2.0
#include "engine/cork.hpp"

#include <string>

#include "engine/peer.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::engine::CorkBuffer;

START_TEST(collects_in_order_until_cleared) {
    CorkBuffer cork;
    ck_assert(cork.empty());
    cork.append(octets("one"));
    cork.append({});
    cork.append(octets("two"));
    ck_assert(!cork.empty());
    ck_assert(text_of(cork.bytes()) == "onetwo");
    cork.clear();
    ck_assert(cork.empty());
    ck_assert(cork.bytes().empty());
}
END_TEST

START_TEST(can_be_filled_to_the_last_octet_and_not_beyond) {
    CorkBuffer cork;
    const std::string largest(CorkBuffer::kLargestFrame, 'x');
    for (std::size_t i = 0; i < CorkBuffer::kCapacity / CorkBuffer::kLargestFrame; ++i) {
        ck_assert(cork.takes(largest.size()));
        cork.append(octets(largest));
    }
    ck_assert_uint_eq(cork.bytes().size(), CorkBuffer::kCapacity);
    ck_assert(!cork.takes(1));
    cork.clear();
    ck_assert(!cork.takes(CorkBuffer::kLargestFrame + 1));
}
END_TEST

WEBSOCKET_TEST_SUITE(cork) {
    tcase_add_test(tests, collects_in_order_until_cleared);
    tcase_add_test(tests, can_be_filled_to_the_last_octet_and_not_beyond);
}
