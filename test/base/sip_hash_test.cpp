// SPDX-License-Identifier: Apache-2.0
#include "base/sip_hash.hpp"

#include <string>

#include "unit.hpp"

using websocket::base::HashKey;
using websocket::base::sip_hash;

/// CPython 3.11 hashes bytes with SipHash-1-3 and, given PYTHONHASHSEED=0, with this key.
START_TEST(agrees_with_another_implementation) {
    const HashKey key{};
    ck_assert_uint_eq(sip_hash(key, "a"), 0x407448d2b89b1813);
    ck_assert_uint_eq(sip_hash(key, "abcdefg"), 0x6db12aae9070f506);
    ck_assert_uint_eq(sip_hash(key, "abcdefgh"), 0x3f7b849c0b8e35ea);
    ck_assert_uint_eq(sip_hash(key, "abcdefghi"), 0xf89b34a3d11eb6e5);
    std::string counting;
    while (counting.size() < 63) counting += static_cast<char>(counting.size());
    ck_assert_uint_eq(sip_hash(key, counting), 0x385d3e39e5f37359);
    ck_assert_uint_eq(sip_hash(key, std::string(255, '\xff')), 0xfe0350ed7e3c1665);
}
END_TEST

START_TEST(agrees_with_its_authors_on_the_key) {
    const HashKey key{0x0706050403020100, 0x0f0e0d0c0b0a0908};
    ck_assert_uint_eq(sip_hash(key, ""), 0xabac0158050fc4dc);
}
END_TEST

WEBSOCKET_TEST_SUITE(sip_hash) {
    tcase_add_test(tests, agrees_with_another_implementation);
    tcase_add_test(tests, agrees_with_its_authors_on_the_key);
}
