// SPDX-License-Identifier: Apache-2.0
#include "httpd/config/setting_value.hpp"

#include <array>
#include <string>
#include <string_view>

#include "failing_allocator.hpp"
#include "unit.hpp"

namespace {

using namespace websocket::httpd;

constexpr std::array<std::string_view, 2> kTwo{"Left", "Right"};
constexpr std::array<std::string_view, 3> kThree{"Off", "Same", "Trusted"};

constexpr Directive directive(ValueKind kind, std::int64_t least, std::int64_t most,
                              std::span<const std::string_view> choices = {}) {
    return {"Name", Setting::send_buffer, Scope::section, kind, 0, least, most, choices, "", "",
            ""};
}

constexpr Directive kCount = directive(ValueKind::count, 1, 100);
constexpr Directive kAnyCount = directive(ValueKind::count, 0, INT64_MAX);
constexpr Directive kSize = directive(ValueKind::size, 1, INT64_MAX);
constexpr Directive kTime = directive(ValueKind::duration, 0, 24 * 3600 * 1000);

void assert_value(const Directive& of, std::string_view text, std::int64_t expected) {
    const ParsedValue parsed = parse_setting(of, text);
    ck_assert_msg(parsed.error.empty(), "%s", parsed.error.c_str());
    ck_assert_int_eq(parsed.value, expected);
}

void assert_error(const Directive& of, std::string_view text, const std::string& expected) {
    const ParsedValue parsed = parse_setting(of, text);
    ck_assert_str_eq(parsed.error.c_str(), expected.c_str());
}

void assert_refused(const Directive& of, std::string_view text) {
    const ParsedValue parsed = parse_setting(of, text);
    ck_assert_msg(!parsed.error.empty(), "\"%s\" is %lld", std::string(text).c_str(),
                  static_cast<long long>(parsed.value));
    ck_assert(parsed.error.find('"' + std::string(text) + '"') != std::string::npos);
    ck_assert(parsed.error.find(of.name) != std::string::npos);
}

}  // namespace

START_TEST(a_count_is_digits_within_its_bounds) {
    assert_value(kCount, "1", 1);
    assert_value(kCount, "42", 42);
    assert_value(kCount, "100", 100);
    assert_value(kCount, "007", 7);
    assert_value(kAnyCount, "0", 0);
    assert_value(kAnyCount, "9223372036854775807", INT64_MAX);
    for (const std::string_view text : {"0", "101", "99999999999999999999"}) {
        assert_refused(kCount, text);
    }
    assert_refused(kAnyCount, "9223372036854775808");
}
END_TEST

START_TEST(what_is_no_number_is_refused_by_every_kind) {
    for (const Directive& of : {kAnyCount, kSize, kTime}) {
        for (const std::string_view text : {"", " ", "-1", "+1", " 1", "1 ", "1.5", "1,5", "0x10",
                                            "1e3", "ten", "--1", "1 K", "K", "ms", "1KK", "1x"}) {
            assert_refused(of, text);
        }
    }
}
END_TEST

START_TEST(minus_zero_is_not_a_number_of_anything) {
    assert_refused(kAnyCount, "-0");
    assert_refused(kTime, "-0s");
}
END_TEST

START_TEST(a_count_has_no_unit) {
    for (const std::string_view text : {"1K", "1s", "1m"}) assert_refused(kAnyCount, text);
}
END_TEST

START_TEST(a_size_is_bytes_or_has_a_binary_unit) {
    assert_value(kSize, "1", 1);
    assert_value(kSize, "1000", 1000);
    assert_value(kSize, "1K", 1024);
    assert_value(kSize, "1k", 1024);
    assert_value(kSize, "256K", 262144);
    assert_value(kSize, "32M", 33554432);
    assert_value(kSize, "2g", std::int64_t{2} << 30);
    for (const std::string_view text : {"0", "0K", "1KB", "1KiB", "1T", "1ms", "1s", "1h"}) {
        assert_refused(kSize, text);
    }
}
END_TEST

START_TEST(a_size_cannot_overflow) {
    assert_value(kSize, "9223372036854775807", INT64_MAX);
    assert_value(kSize, "8589934591G", std::int64_t{8589934591} << 30);
    assert_value(kSize, "9007199254740991K", std::int64_t{9007199254740991} << 10);
    for (const std::string_view text :
         {"9223372036854775808", "8589934592G", "9007199254740992K", "9223372036854775807M",
          "18446744073709551617", "17179869185G"}) {
        assert_refused(kSize, text);
    }
}
END_TEST

START_TEST(a_time_is_seconds_or_has_a_unit) {
    assert_value(kTime, "0", 0);
    assert_value(kTime, "5", 5000);
    assert_value(kTime, "5s", 5000);
    assert_value(kTime, "5S", 5000);
    assert_value(kTime, "250ms", 250);
    assert_value(kTime, "250MS", 250);
    assert_value(kTime, "2m", 120000);
    assert_value(kTime, "24h", 86400000);
    for (const std::string_view text :
         {"25h", "86401", "86400001ms", "1d", "1sec", "1min", "1K", "9223372036854775807",
          "9223372036854775807h", "18446744073709552"}) {
        assert_refused(kTime, text);
    }
}
END_TEST

START_TEST(a_time_respects_its_bounds_in_milliseconds) {
    constexpr Directive kOften = directive(ValueKind::duration, 1, 1500);
    assert_value(kOften, "1ms", 1);
    assert_value(kOften, "1500ms", 1500);
    assert_value(kOften, "1", 1000);
    for (const std::string_view text : {"0", "0ms", "1501ms", "2"}) assert_refused(kOften, text);
}
END_TEST

START_TEST(a_unit_of_another_name_is_told_how_it_is_written_here) {
    const auto assert_hint = [](const Directive& of, std::string_view text,
                                std::string_view meant) {
        const std::string error = parse_setting(of, text).error;
        ck_assert_msg(error.ends_with("; write " + std::string(meant)), "%s", error.c_str());
    };
    for (const std::string_view text : {"1MB", "1mb", "1MiB"}) assert_hint(kSize, text, "1M");
    assert_hint(kSize, "64KB", "64K");
    assert_hint(kSize, "2GiB", "2G");
    assert_hint(kSize, "100B", "100");
    assert_hint(kTime, "30sec", "30s");
    assert_hint(kTime, "30Seconds", "30s");
    assert_hint(kTime, "1min", "1m");
    assert_hint(kTime, "2hours", "2h");
    assert_hint(kTime, "250msec", "250ms");
}
END_TEST

START_TEST(no_value_is_proposed_that_would_be_refused) {
    for (const std::string_view text :
         {"MB", "-1MB", "1.5MB", "0MB", "1TB", "1 MB", "8589934592GB", "99999999999999999999KB"}) {
        ck_assert(parse_setting(kSize, text).error.find("; write") == std::string::npos);
    }
    for (const std::string_view text : {"25hours", "1day", "1MB"}) {
        ck_assert(parse_setting(kTime, text).error.find("; write") == std::string::npos);
    }
    ck_assert(parse_setting(kCount, "10KB").error.find("; write") == std::string::npos);
}
END_TEST

START_TEST(a_flag_is_on_or_off_in_any_case) {
    constexpr Directive kFlag = directive(ValueKind::flag, 0, 1);
    for (const std::string_view text : {"On", "on", "ON", "oN"}) assert_value(kFlag, text, 1);
    for (const std::string_view text : {"Off", "off", "OFF"}) assert_value(kFlag, text, 0);
    for (const std::string_view text : {"", "0", "1", "yes", "true", "O", "Onn", " On"}) {
        assert_refused(kFlag, text);
    }
    assert_error(kFlag, "Maybe", "Name must be On or Off, not \"Maybe\"");
}
END_TEST

START_TEST(a_choice_is_its_place_in_the_list) {
    constexpr Directive kChoice = directive(ValueKind::choice, 0, 2, kThree);
    assert_value(kChoice, "Off", 0);
    assert_value(kChoice, "same", 1);
    assert_value(kChoice, "TRUSTED", 2);
    for (const std::string_view text : {"", "0", "1", "Tru", "Trusted ", "On"}) {
        assert_refused(kChoice, text);
    }
}
END_TEST

START_TEST(a_wrong_choice_is_told_the_right_ones) {
    assert_error(directive(ValueKind::choice, 0, 2, kThree), "Maybe",
                 "Name must be Off, Same, or Trusted, not \"Maybe\"");
    assert_error(directive(ValueKind::choice, 0, 1, kTwo), "up",
                 "Name must be Left or Right, not \"up\"");
}
END_TEST

START_TEST(a_wrong_number_is_told_its_bounds_and_units) {
    assert_error(kCount, "101",
                 "Name: \"101\" is not allowed; it takes a whole number from 1 to 100");
    assert_error(directive(ValueKind::size, 1, 128 * kMiB), "1T",
                 "Name: \"1T\" is not allowed; it takes a size from 1 to 128M bytes, with an "
                 "optional K, M or G");
    assert_error(kTime, "1d",
                 "Name: \"1d\" is not allowed; it takes a time from 0ms to 24h, with an optional "
                 "ms, s (the default), m or h");
}
END_TEST

START_TEST(the_texts_of_the_old_module_are_still_found) {
    for (const Directive& of : kDirectives) {
        if (of.setting == Setting::max_message_size) {
            for (const std::string_view text : {"0", "-1", "abc"}) {
                const std::string error = parse_setting(of, text).error;
                ck_assert(error.starts_with("Invalid maximum message size"));
            }
        }
        if (of.setting == Setting::origin_check) {
            const std::string error = parse_setting(of, "Maybe").error;
            ck_assert(error.starts_with("WebSocketOriginCheck must be Off, Same, or Trusted"));
        }
    }
}
END_TEST

START_TEST(a_refused_value_is_quoted_as_it_was_written) {
    for (const std::string_view text : {"a b", "%s%n", "\xFF", "'", "<x>"}) {
        assert_refused(kCount, text);
    }
    assert_refused(kCount, std::string(5000, '9'));
}
END_TEST

START_TEST(running_out_of_memory_for_a_value_throws_and_leaks_nothing) {
    const std::string text(100, 'x');
    const auto ignore = [](bool) {};
    for (const Directive& of : {kCount, directive(ValueKind::choice, 0, 2, kThree)}) {
        ck_assert_uint_ge(websocket::test::fail_each_allocation(
                              [&] { static_cast<void>(parse_setting(of, text)); }, ignore),
                          2);
    }
}
END_TEST

WEBSOCKET_TEST_SUITE(setting_value) {
    tcase_add_test(tests, a_count_is_digits_within_its_bounds);
    tcase_add_test(tests, what_is_no_number_is_refused_by_every_kind);
    tcase_add_test(tests, minus_zero_is_not_a_number_of_anything);
    tcase_add_test(tests, a_count_has_no_unit);
    tcase_add_test(tests, a_size_is_bytes_or_has_a_binary_unit);
    tcase_add_test(tests, a_size_cannot_overflow);
    tcase_add_test(tests, a_time_is_seconds_or_has_a_unit);
    tcase_add_test(tests, a_time_respects_its_bounds_in_milliseconds);
    tcase_add_test(tests, a_unit_of_another_name_is_told_how_it_is_written_here);
    tcase_add_test(tests, no_value_is_proposed_that_would_be_refused);
    tcase_add_test(tests, a_flag_is_on_or_off_in_any_case);
    tcase_add_test(tests, a_choice_is_its_place_in_the_list);
    tcase_add_test(tests, a_wrong_choice_is_told_the_right_ones);
    tcase_add_test(tests, a_wrong_number_is_told_its_bounds_and_units);
    tcase_add_test(tests, the_texts_of_the_old_module_are_still_found);
    tcase_add_test(tests, a_refused_value_is_quoted_as_it_was_written);
    tcase_add_test(tests, running_out_of_memory_for_a_value_throws_and_leaks_nothing);
}
