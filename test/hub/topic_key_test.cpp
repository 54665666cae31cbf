// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "hub/topic_key.hpp"

#include <string>

#include "unit.hpp"

using websocket::base::HashKey;
using websocket::hub::TopicKey;

namespace {

constexpr HashKey kHashKey{1, 2};

std::string bytes(std::string_view scope, std::string_view name) {
    const auto key = TopicKey::make(scope, name, kHashKey);
    ck_assert(key.has_value());
    return std::string(key->bytes());
}

}  // namespace

START_TEST(different_names_and_scopes_are_different_keys) {
    ck_assert(bytes("a", "bc") != bytes("ab", "c"));
    ck_assert(bytes("", "abc") != bytes("a", "bc"));
    ck_assert(bytes("a", "b") == bytes("a", "b"));
    ck_assert(bytes("a", std::string_view("b\0", 2)) != bytes("a", "b"));
}
END_TEST

START_TEST(a_name_has_1_to_255_bytes_and_a_scope_at_most_255) {
    const std::string longest(255, 'x');
    const std::string too_long(256, 'x');
    ck_assert(TopicKey::make(longest, longest, kHashKey).has_value());
    ck_assert(TopicKey::make("", "x", kHashKey).has_value());
    ck_assert(!TopicKey::make("", "", kHashKey).has_value());
    ck_assert(!TopicKey::make("", too_long, kHashKey).has_value());
    ck_assert(!TopicKey::make(too_long, "x", kHashKey).has_value());
}
END_TEST

START_TEST(what_another_process_writes_is_the_same_key_or_none) {
    for (const std::string& scope : {std::string(), std::string("s"), std::string(255, 's')}) {
        const auto key = TopicKey::make(scope, "name", kHashKey);
        const auto parsed = TopicKey::parse(key->bytes(), kHashKey);
        ck_assert(parsed.has_value());
        ck_assert(parsed->bytes() == key->bytes());
        ck_assert_uint_eq(parsed->hash(), key->hash());
    }
    ck_assert(!TopicKey::parse("", kHashKey).has_value());
    ck_assert(!TopicKey::parse(std::string_view("\0", 1), kHashKey).has_value());
    ck_assert(!TopicKey::parse("\x01s", kHashKey).has_value());
    ck_assert(!TopicKey::parse("\x09s", kHashKey).has_value());
    ck_assert(!TopicKey::parse(std::string(600, '\x01'), kHashKey).has_value());
}
END_TEST

WEBSOCKET_TEST_SUITE(topic_key) {
    tcase_add_test(tests, different_names_and_scopes_are_different_keys);
    tcase_add_test(tests, a_name_has_1_to_255_bytes_and_a_scope_at_most_255);
    tcase_add_test(tests, what_another_process_writes_is_the_same_key_or_none);
}
