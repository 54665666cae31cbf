// SPDX-License-Identifier: Apache-2.0
#include "httpd/log/log_format.hpp"

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <string>
#include <string_view>

#include "failing_allocator.hpp"
#include "unit.hpp"

using namespace std::chrono_literals;
using namespace websocket;
using namespace websocket::httpd;

namespace {

using Time = std::chrono::system_clock::time_point;

// 2001-09-09 01:46:40 UTC and then some
constexpr Time kOpened{1'000'000'000'123'456us};
constexpr Time kClosed{1'000'000'061'500'000us};

LogFormat parsed(std::string_view text) {
    std::string error;
    auto format = LogFormat::parse(text, error);
    ck_assert_msg(format.has_value(), "%s", error.c_str());
    ck_assert_str_eq(error.c_str(), "");
    return std::move(*format);
}

/// Every item is shown as what was asked for.
std::optional<std::string_view> echo(const LogItem& item) {
    static std::string shown;
    shown = item.argument.empty() ? "value" : "value of " + item.argument;
    return shown;
}
std::optional<std::string_view> nothing(const LogItem& /*item*/) { return {}; }

LogEnd some_end() {
    return {{11, 22, 33, 44}, {1008, engine::Ender::server, "too slow"}, 61'377'000us, kClosed};
}

std::string closed(std::string_view text, const LogFormat::Lookup& lookup = echo,
                   const LogEnd& end = some_end()) {
    const LogFormat format = parsed(text);
    return format.complete(format.begin(kOpened, lookup), &end);
}
std::string opened(std::string_view text) {
    const LogFormat format = parsed(text);
    return format.complete(format.begin(kOpened, echo), nullptr);
}

void expect(const std::string& line, std::string_view wanted) {
    ck_assert_msg(line == wanted, "\"%s\" instead of \"%s\"", line.c_str(),
                  std::string(wanted).c_str());
}

/// What a format is refused for.
std::string refusal(std::string_view text) {
    std::string error;
    ck_assert_msg(!LogFormat::parse(text, error), "%s", std::string(text).c_str());
    return error;
}

std::string escaped(std::string_view value, std::size_t most = 100) {
    std::string line = "<";
    append_escaped(line, value, most);
    return line.substr(1);
}

void set_utc() {
    ::setenv("TZ", "UTC", 1);
    ::tzset();
}

}  // namespace

START_TEST(a_wrong_format_is_quoted_and_what_is_allowed_is_named) {
    for (const char* wrong : {"%Z", "%", "%{", "%{x", "%{x}", "%>", "%4", "%!", "%{x}a", "%{}i",
                              "%i", "%e", "%o", "%{x}w", "%w", "%{x}T", "%{c}u", "%{x}D", "%b"}) {
        const std::string error = refusal(std::string("fine %a ") + wrong);
        ck_assert_msg(error.starts_with('"' + std::string(wrong) + "\" is not allowed; "), "%s: %s",
                      wrong, error.c_str());
        ck_assert(error.find("%{NAME}i") != std::string::npos);
    }
    ck_assert(refusal("%>s").starts_with("\"%>\" is"));
    ck_assert(refusal("%400,501{X}i").starts_with("\"%4\" is"));
    ck_assert(refusal("").starts_with("\"\" is not allowed; "));
}
END_TEST

START_TEST(all_that_the_error_names_is_allowed) {
    const std::string error = refusal("%Z");
    std::size_t found = 0;
    for (std::size_t at = error.find("contain ") + 8; (at = error.find('%', at)) < error.size();) {
        const std::size_t end = std::min(error.find_first_of(" ,", at), error.size());
        static_cast<void>(parsed(error.substr(at, end - at)));
        ++found;
        at = end;
    }
    ck_assert_uint_gt(found, 30);
}
END_TEST

START_TEST(what_the_request_knows_is_asked_for) {
    expect(closed("%a|%u|%{User-Agent}i|%{VAR}e|%{X}o|%{c}a"),
           "value|value|value of User-Agent|value of VAR|value of X|value\n");
    expect(closed("%a \"%u\"", nothing), "- \"-\"\n");
}
END_TEST

START_TEST(what_is_known_at_the_end_is_filled_in) {
    expect(closed("%I %O %{messages-in}w %{messages-out}w"), "11 22 33 44\n");
    expect(closed("%D %T %{s}T %{ms}T %{us}T"), "61377000 61 61 61377 61377000\n");
    expect(closed("%{code}w %{closed-by}w \"%{reason}w\" %{event}w"),
           "1008 server \"too slow\" close\n");
    LogEnd end = some_end();
    end.ending = {1000, engine::Ender::client, nullptr};
    expect(closed("%{code}w %{closed-by}w \"%{reason}w\"", echo, end), "1000 client \"-\"\n");
    end.ending.by = engine::Ender::network;
    expect(closed("%{closed-by}w", echo, end), "network\n");
}
END_TEST

START_TEST(the_line_of_an_opening_knows_nothing_of_the_end) {
    expect(opened("%{event}w %a %I %{code}w %D %{end:sec}t"), "open value - - - -\n");
}
END_TEST

START_TEST(times_are_those_of_the_opening_unless_they_say_otherwise) {
    set_utc();
    expect(closed("%t"), "[09/Sep/2001:01:46:40 +0000]\n");
    expect(closed("%{sec}t %{msec}t %{usec}t"), "1000000000 1000000000123 1000000000123456\n");
    expect(closed("%{%Y-%m-%d}t %{begin:%H:%M}t"), "2001-09-09 01:46\n");
    expect(closed("%{end:sec}t %{end:%S}t %{end:}t"),
           "1000000061 41 [09/Sep/2001:01:47:41 +0000]\n");
}
END_TEST

START_TEST(text_stays_as_it_is_but_for_its_escapes) {
    expect(closed("100%% \\\"a\\\" \\t\\n\\\\ \\x %a"), "100% \\\"a\\\" \t\n\\ \\x value\n");
    expect(closed("just text"), "just text\n");
}
END_TEST

START_TEST(what_comes_from_outside_cannot_leave_its_place) {
    expect(escaped("plain text"), "plain text");
    expect(escaped("\" \\ \n \r \t \v \b"), "\\\" \\\\ \\n \\r \\t \\v \\b");
    expect(escaped(std::string_view("\0\x01\x1f\x7f\x80\xff", 6)),
           "\\x00\\x01\\x1f\\x7f\\x80\\xff");
    expect(closed("\"%a\"", [](const LogItem&) { return std::string_view("x\"\n\0%a", 6); }),
           "\"x\\\"\\n\\x00%a\"\n");
}
END_TEST

START_TEST(a_value_is_cut_between_its_escapes) {
    expect(escaped("aaaa", 3), "aaa");
    expect(escaped("aa\"", 3), "aa");
    expect(escaped("\xff\xff", 7), "\\xff");
    expect(escaped("a", 0), "");
}
END_TEST

START_TEST(values_and_lines_are_not_longer_than_they_may_be) {
    const std::string large(100'000, 'l');
    const auto huge = [&](const LogItem&) { return std::string_view(large); };
    ck_assert_uint_eq(closed("%a", huge).size(), LogFormat::kLongestValue + 1);
    const std::string line = closed("%a%a%a%a%a%a%I", huge);
    ck_assert_uint_eq(line.size(), LogFormat::kLongestLine);
    ck_assert_int_eq(line.back(), '\n');
    ck_assert_uint_eq(closed(large).size(), LogFormat::kLongestLine);
}
END_TEST

START_TEST(running_out_of_memory_throws_and_leaks_nothing) {
    const std::string text(100, 'x');
    const auto longer = [&](const LogItem&) { return std::string_view(text); };
    const std::size_t failures = test::fail_each_allocation(
        [&] {
            std::string error;
            const auto format = LogFormat::parse("%{User-Agent}i some more text %I %t", error);
            const LogEnd end = some_end();
            static_cast<void>(format->complete(format->begin(kOpened, longer), &end));
        },
        [](bool) {});
    ck_assert_uint_gt(failures, 3);
}
END_TEST

WEBSOCKET_TEST_SUITE(log_format) {
    tcase_add_test(tests, a_wrong_format_is_quoted_and_what_is_allowed_is_named);
    tcase_add_test(tests, all_that_the_error_names_is_allowed);
    tcase_add_test(tests, what_the_request_knows_is_asked_for);
    tcase_add_test(tests, what_is_known_at_the_end_is_filled_in);
    tcase_add_test(tests, the_line_of_an_opening_knows_nothing_of_the_end);
    tcase_add_test(tests, times_are_those_of_the_opening_unless_they_say_otherwise);
    tcase_add_test(tests, text_stays_as_it_is_but_for_its_escapes);
    tcase_add_test(tests, what_comes_from_outside_cannot_leave_its_place);
    tcase_add_test(tests, a_value_is_cut_between_its_escapes);
    tcase_add_test(tests, values_and_lines_are_not_longer_than_they_may_be);
    tcase_add_test(tests, running_out_of_memory_throws_and_leaks_nothing);
}
