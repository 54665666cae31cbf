// SPDX-License-Identifier: Apache-2.0
#include "protocol/close_code.hpp"

#include <string>

#include "protocol/random.hpp"
#include "protocol/utf8.hpp"
#include "unit.hpp"

namespace {

using namespace websocket::protocol;

enum class Standing : std::uint8_t { usable, reserved, prohibited };

struct Range {
    unsigned first, last;
    Standing standing;
};

/// RFC 6455 section 7.4 and IANA's registry, gapless.
constexpr Range kRegistry[] = {
    {0, 999, Standing::prohibited},      {1000, 1003, Standing::usable},
    {1004, 1004, Standing::reserved},    {1005, 1006, Standing::prohibited},
    {1007, 1014, Standing::usable},      {1015, 1015, Standing::prohibited},
    {1016, 2999, Standing::reserved},    {3000, 4999, Standing::usable},
    {5000, 65535, Standing::prohibited},
};

std::string text_of(const ClosePayload& payload) {
    return {payload.bytes().begin(), payload.bytes().end()};
}

}  // namespace

START_TEST(every_code_has_the_standing_of_the_registry) {
    unsigned code = 0;
    for (const Range& range : kRegistry) {
        ck_assert_uint_eq(code, range.first);
        for (; code <= range.last; ++code) {
            const auto number = static_cast<std::uint16_t>(code);
            // Check writes to a file for each of its assertions that holds.
            if (is_prohibited(number) != (range.standing == Standing::prohibited) ||
                is_reserved(number) != (range.standing == Standing::reserved)) {
                ck_abort_msg("%u", code);
            }
        }
    }
    ck_assert_uint_eq(code, 65536);
}
END_TEST

START_TEST(a_close_without_a_status_has_no_payload) { ck_assert(ClosePayload().bytes().empty()); }
END_TEST

START_TEST(the_code_comes_first_in_network_order) {
    ck_assert(text_of(ClosePayload(CloseCode::going_away, "bye")) == "\x03\xE9"
                                                                     "bye");
    ck_assert(text_of(ClosePayload(CloseCode::normal)) == "\x03\xE8");
    ck_assert(text_of(ClosePayload(std::uint16_t{4999}, "")) == "\x13\x87");
}
END_TEST

START_TEST(the_code_of_a_payload_is_the_one_it_was_made_of) {
    for (const unsigned code : {1000U, 1011U, 3000U, 4999U, 0xFFFEU}) {
        const ClosePayload payload(static_cast<std::uint16_t>(code), "reason");
        ck_assert_uint_eq(close_code_of(payload.bytes()), code);
        ck_assert_uint_eq(close_code_of(payload.bytes().first(2)), code);
    }
}
END_TEST

START_TEST(a_reason_of_123_bytes_fits_whole) {
    const std::string reason(123, 'r');
    const ClosePayload payload(CloseCode::normal, reason);
    ck_assert_uint_eq(payload.bytes().size(), kMaxControlPayload);
    ck_assert(text_of(payload).substr(2) == reason);
}
END_TEST

START_TEST(a_long_reason_is_cut_between_characters) {
    websocket::test::Random random(1);
    for (int i = 0; i < 2000; ++i) {
        const std::string reason = random.text(100 + random.below(60));
        const std::string kept = text_of(ClosePayload(CloseCode::normal, reason)).substr(2);
        Utf8Validator validator;
        ck_assert(reason.starts_with(kept));
        ck_assert(validator.update(websocket::test::bytes(kept)) && validator.complete());
        if (reason.size() <= 123) ck_assert_uint_eq(kept.size(), reason.size());
        if (reason.size() > 123) ck_assert_uint_ge(kept.size(), 120);
        ck_assert_uint_le(kept.size(), 123);
    }
}
END_TEST

START_TEST(every_width_of_character_is_cut_as_a_whole) {
    for (const std::string character : {"a", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"}) {
        for (std::size_t lead = 0; lead < 8; ++lead) {
            std::string reason(lead, '-');
            while (reason.size() < 140) reason += character;
            const std::size_t expected = lead + (123 - lead) / character.size() * character.size();
            ck_assert_uint_eq(ClosePayload(CloseCode::normal, reason).bytes().size() - 2, expected);
        }
    }
}
END_TEST

START_TEST(a_reason_that_is_no_text_does_not_overflow) {
    const std::string reason(1000, '\x80');
    const ClosePayload payload(CloseCode::normal, reason);
    ck_assert_uint_ge(payload.bytes().size(), 2);
    ck_assert_uint_le(payload.bytes().size(), kMaxControlPayload);
}
END_TEST

WEBSOCKET_TEST_SUITE(close_code) {
    tcase_add_test(tests, every_code_has_the_standing_of_the_registry);
    tcase_add_test(tests, a_close_without_a_status_has_no_payload);
    tcase_add_test(tests, the_code_comes_first_in_network_order);
    tcase_add_test(tests, the_code_of_a_payload_is_the_one_it_was_made_of);
    tcase_add_test(tests, a_reason_of_123_bytes_fits_whole);
    tcase_add_test(tests, a_long_reason_is_cut_between_characters);
    tcase_add_test(tests, every_width_of_character_is_cut_as_a_whole);
    tcase_add_test(tests, a_reason_that_is_no_text_does_not_overflow);
}
