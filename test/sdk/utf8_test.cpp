// SPDX-License-Identifier: Apache-2.0
#include "protocol/utf8.hpp"

#include <array>
#include <string>

#include <websocket/utf8.hpp>

#include "protocol/random.hpp"
#include "protocol/require.hpp"
#include "unit.hpp"

namespace {

using websocket::is_utf8;
using websocket::protocol::Utf8Validator;
using websocket::test::bytes;
using websocket::test::kSanitizer;
using websocket::test::Random;
using websocket::test::require;

// The compiler itself judges these.
static_assert(is_utf8(""));
static_assert(is_utf8("plain, and longer than sixteen bytes"));
static_assert(is_utf8("gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x98\x80"));
static_assert(is_utf8(std::string_view("\0", 1)));
static_assert(is_utf8("\xED\x9F\xBF\xEE\x80\x80\xF4\x8F\xBF\xBF"));
static_assert(!is_utf8("\xC0\xAF"), "overlong");
static_assert(!is_utf8("\xE0\x9F\xBF"), "overlong");
static_assert(!is_utf8("\xF0\x8F\xBF\xBF"), "overlong");
static_assert(!is_utf8("\xED\xA0\x80"), "a surrogate");
static_assert(!is_utf8("\xF4\x90\x80\x80"), "above U+10FFFF");
static_assert(!is_utf8("\xFF"));
static_assert(!is_utf8("\x80"));
static_assert(!is_utf8("in the middle of it \xE2\x82"));

/// The rule of the frames that go out.
bool protocol_takes(std::string_view text) {
    Utf8Validator validator;
    return validator.update(bytes(text)) && validator.complete();
}

void assert_agreement(std::string_view text) {
    require(is_utf8(text) == protocol_takes(text), text);
}

/// The bytes at the edges of every range of Unicode's table 3-7.
constexpr std::array<unsigned char, 25> kEdges{0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF,
                                               0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE,
                                               0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF};

}  // namespace

START_TEST(agrees_with_the_protocol_on_all_sequences_of_up_to_three_bytes) {
    assert_agreement("");
    std::string text(3, '\0');
    for (unsigned value = 0; value < 0x1000000; value += kSanitizer ? 11 : 1) {
        text[0] = static_cast<char>(value & 0xFF);
        text[1] = static_cast<char>(value >> 8 & 0xFF);
        text[2] = static_cast<char>(value >> 16);
        assert_agreement(text);
        if (value < 0x10000) assert_agreement(std::string_view(text).substr(0, 2));
        if (value < 0x100) assert_agreement(std::string_view(text).substr(0, 1));
    }
}
END_TEST

START_TEST(agrees_with_the_protocol_at_the_edges_of_four_bytes_inside_of_any_text) {
    Random random(21);
    const std::string before = random.text(40);
    for (const unsigned char a : kEdges) {
        for (const unsigned char b : kEdges) {
            for (const unsigned char c : kEdges) {
                for (const unsigned char d : kEdges) {
                    std::string text(random.below(40), 'a');
                    if (random.one_in(2)) text = before;
                    text += {static_cast<char>(a), static_cast<char>(b), static_cast<char>(c),
                             static_cast<char>(d)};
                    assert_agreement(text);
                    assert_agreement(text + std::string(random.below(40), 'z'));
                }
            }
        }
    }
}
END_TEST

START_TEST(one_wrong_byte_at_any_place_of_a_long_text_is_found) {
    Random random(22);
    for (int round = 0; round < 200; ++round) {
        const std::string text = round % 2 == 0 ? random.text(100) : std::string(100, 'a');
        require(is_utf8(text), text);
        for (std::size_t i = 0; i < text.size(); ++i) {
            std::string wrong = text;
            wrong[i] = static_cast<char>(random.below(256));
            assert_agreement(wrong);
            assert_agreement(std::string_view(text).substr(0, i));
            assert_agreement(std::string_view(text).substr(i));
        }
    }
}
END_TEST

WEBSOCKET_TEST_SUITE(sdk_utf8) {
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, agrees_with_the_protocol_on_all_sequences_of_up_to_three_bytes);
    tcase_add_test(tests, agrees_with_the_protocol_at_the_edges_of_four_bytes_inside_of_any_text);
    tcase_add_test(tests, one_wrong_byte_at_any_place_of_a_long_text_is_found);
}
