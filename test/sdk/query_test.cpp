// SPDX-License-Identifier: Apache-2.0
#include <string>

#include <websocket/query.hpp>

#include "protocol/random.hpp"
#include "protocol/require.hpp"
#include "unit.hpp"

namespace {

using websocket::percent_decoded;
using websocket::query_value;
using websocket::query_values;
using websocket::test::Random;
using websocket::test::require;

void assert_decoded(std::string_view text, std::string_view bytes, bool well_formed = true) {
    const websocket::PercentDecoded decoded = percent_decoded(text);
    require(decoded.bytes == bytes, text);
    require(decoded.well_formed == well_formed, text);
}

}  // namespace

START_TEST(escapes_stand_for_bytes_and_a_plus_for_a_space) {
    assert_decoded("", "");
    assert_decoded("plain", "plain");
    assert_decoded("a+b%20c%2Bd", "a b c+d");
    assert_decoded("%41%7a%7A", "Azz");
    assert_decoded("%e2%82%AC", "\xE2\x82\xAC");
    assert_decoded("%00", std::string_view("\0", 1));
    assert_decoded("%C0%AF", "\xC0\xAF");
    assert_decoded("\xFF", "\xFF");
}
END_TEST

START_TEST(nothing_is_decoded_twice) {
    assert_decoded("%2541", "%41");
    assert_decoded("%25%34%31", "%41");
}
END_TEST

START_TEST(a_percent_sign_that_begins_no_escape_is_kept_and_told) {
    for (const std::string_view text :
         {"%", "%4", "a%", "a%4", "%zz", "%4z", "%z4", "%%", "100%&"}) {
        assert_decoded(text, text, false);
    }
    assert_decoded("%%41", "%A", false);
    assert_decoded("%-1%+1", "%-1% 1", false);  // no number with a sign
    assert_decoded("%0x1", "%0x1", false);
}
END_TEST

START_TEST(every_byte_survives_being_encoded) {
    constexpr std::string_view kDigits = "0123456789aBcDeF";
    Random random(23);
    const std::string bytes = random.bytes(5000);
    std::string encoded;
    for (const char sign : bytes) {
        const auto byte = static_cast<unsigned char>(sign);
        encoded += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
    assert_decoded(encoded, bytes);
}
END_TEST

START_TEST(the_first_pair_of_a_name_counts) {
    ck_assert(query_value("a=1&b=2&b=3", "b") == "2");
    ck_assert(query_values("a=1&b=2&b=3&%62", "b") ==
              (std::vector<std::string_view>{"2", "3", ""}));
    ck_assert(query_values("", "b").empty());
    ck_assert(query_value("a=1&b=2=3", "b") == "2=3");
    ck_assert(query_value("a=%26&b", "a") == "%26");
    ck_assert(query_value("a=%26&b", "b") == "");
    ck_assert(query_value("b=", "b") == "");
    ck_assert(query_value("%62=1", "b") == "1");
    ck_assert(query_value("a+b=1", "a b") == "1");
    ck_assert(query_value("&&b=1&", "b") == "1");
    ck_assert(query_value("b%=0&b=1", "b") == "1");
}
END_TEST

START_TEST(what_is_not_there_is_nothing) {
    for (const std::string_view query : {"", "&", "=", "=b", "ab=1", "B=1", "a=b", "a=1;b=2"}) {
        require(!query_value(query, "b"), query);
    }
}
END_TEST

WEBSOCKET_TEST_SUITE(sdk_query) {
    tcase_add_test(tests, escapes_stand_for_bytes_and_a_plus_for_a_space);
    tcase_add_test(tests, nothing_is_decoded_twice);
    tcase_add_test(tests, a_percent_sign_that_begins_no_escape_is_kept_and_told);
    tcase_add_test(tests, every_byte_survives_being_encoded);
    tcase_add_test(tests, the_first_pair_of_a_name_counts);
    tcase_add_test(tests, what_is_not_there_is_nothing);
}
