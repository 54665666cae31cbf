// SPDX-License-Identifier: Apache-2.0
#include "protocol/response_head.hpp"

#include <string>
#include <string_view>

#include "unit.hpp"

namespace {

using namespace websocket::protocol;
using HeadStatus = ResponseHeadParser::Status;

constexpr HeadLimits kSmall{.max_line = 40, .max_lines = 4};

ResponseHeadParser head_of(std::string_view bytes, const HeadLimits& limits = kSmall) {
    ResponseHeadParser parser(limits);
    parser.consume(bytes);
    return parser;
}

/// That the head is refused with its byte `needed`, not earlier, and so says `error`.
void assert_head_refused(std::string_view bytes, std::size_t needed, std::string_view error) {
    ResponseHeadParser parser(kSmall);
    for (std::size_t i = 0; i < needed; ++i) {
        ck_assert_msg(parser.status() == HeadStatus::incomplete, "at byte %zu: %s", i,
                      parser.error().c_str());
        ck_assert_uint_eq(parser.consume(bytes.substr(i, 1)), 1);
    }
    ck_assert_msg(parser.status() == HeadStatus::failed && parser.error() == error, "%d, \"%s\"",
                  static_cast<int>(parser.status()), parser.error().c_str());
    ck_assert(head_of(bytes).error() == error);
}

void assert_head_refused(std::string_view bytes, std::string_view error) {
    assert_head_refused(bytes, bytes.size(), error);
}

constexpr std::string_view kNoStatusLine =
    "the answer does not begin with a status line of HTTP/1.1";

}  // namespace

START_TEST(reads_status_reason_and_fields) {
    const ResponseHeadParser parser =
        head_of("HTTP/1.1 404 Not Found\r\nA: 1\r\nb:\t2 \t\r\nC:\r\n\r\nbody");
    ck_assert(parser.status() == HeadStatus::complete);
    const ResponseHead& head = parser.head();
    ck_assert_uint_eq(head.status, 404);
    ck_assert(head.reason == "Not Found");
    ck_assert_uint_eq(head.fields.size(), 3);
    ck_assert(head.list("a") == "1" && head.list("B") == "2" && head.list("C").empty());
    ck_assert_uint_eq(head.count("c"), 1);
    ck_assert_uint_eq(head.count("d"), 0);
}
END_TEST

START_TEST(joins_fields_of_the_same_name_to_a_list) {
    const ResponseHeadParser parser = head_of("HTTP/1.1 101 \r\nA: 1, 2\r\nB: x\r\na: 3\r\n\r\n");
    ck_assert(parser.head().list("A") == "1, 2, 3");
    ck_assert_uint_eq(parser.head().count("A"), 2);
    ck_assert(parser.head().reason.empty());
}
END_TEST

START_TEST(takes_a_folded_line_for_a_space) {
    const ResponseHeadParser parser = head_of("HTTP/1.1 101\r\nA: 1,\r\n \t2\r\n  3\r\n\r\n");
    ck_assert_msg(parser.status() == HeadStatus::complete, "%s", parser.error().c_str());
    ck_assert(parser.head().list("A") == "1, 2 3");
    assert_head_refused("HTTP/1.1 101\r\n A: 1\r\n", "the first field of the head has no name");
    assert_head_refused("HTTP/1.1 101\r\nA: 1\r\n" +
                            std::string(" 23456789012345678901234567890\r\n") +
                            " 23456789012345678901234567890\r\n",
                        "a folded field of the head is longer than 40 bytes");
}
END_TEST

START_TEST(stops_behind_the_head) {
    const std::string_view head = "HTTP/1.1 101 Yes\r\n\r\n";
    ResponseHeadParser parser;
    ck_assert_uint_eq(parser.consume(std::string(head) + "\r\nmore"), head.size());
    ck_assert(parser.status() == HeadStatus::complete);
}
END_TEST

START_TEST(refuses_what_is_no_status_line) {
    for (const std::string_view line :
         {"", "HTTP/1.0 101 Yes", "HTTP/2 101", "http/1.1 101 Yes", "HTTP/1.1  101 Yes",
          "HTTP/1.1 10", "HTTP/1.1 1010", "HTTP/1.1 099 No", "HTTP/1.1 -01 No", "HTTP/1.1",
          "HTTP/1.1 1x1 No", "101", " HTTP/1.1 101"}) {
        assert_head_refused(std::string(line) + "\r\n", kNoStatusLine);
    }
}
END_TEST

START_TEST(refuses_a_line_that_does_not_end_with_both_cr_and_lf) {
    assert_head_refused("HTTP/1.1 101 Yes\n", "a line of the head ends without CR");
    assert_head_refused("HTTP/1.1 101 Yes\r\nA: 1\n", "a line of the head ends without CR");
    assert_head_refused("HTTP/1.1 101 Yes\r\n\n", "a line of the head ends without CR");
    assert_head_refused("HTTP/1.1 101 Yes\r\nA: 1\rB: 2\r\n", "a control character in the head");
    assert_head_refused("HTTP/1.1 101 Yes\r\n\r\r\n", "a control character in the head");
}
END_TEST

START_TEST(refuses_control_characters_and_nameless_fields) {
    assert_head_refused(std::string_view("HTTP/1.1 101 Y\0s\r\n", 18),
                        "a control character in the head");
    assert_head_refused("HTTP/1.1 101 Yes\r\nA: \x1B[2J\r\n", "a control character in the head");
    for (const std::string_view line : {"A", "A B", ": 1", "A : 1", "A\xC3\xA9: 1", "(A): 1"}) {
        assert_head_refused("HTTP/1.1 101 Yes\r\n" + std::string(line) + "\r\n",
                            "a line of the head is no field");
    }
}
END_TEST

START_TEST(refuses_a_line_with_its_first_byte_too_many) {
    const std::string status = "HTTP/1.1 101 Yes\r\n";
    const std::string fits = status + "A: " + std::string(35, 'x') + "\r\n";
    ck_assert(head_of(fits + "\r\n").status() == HeadStatus::complete);
    assert_head_refused(status + "A: " + std::string(100, 'x'), status.size() + 41,
                        "a line of the head is longer than 40 bytes");
    assert_head_refused(std::string(100, 'x'), 41, "a line of the head is longer than 40 bytes");
}
END_TEST

START_TEST(refuses_too_many_lines) {
    const std::string four = "HTTP/1.1 101 Yes\r\nA: 1\r\nB: 2\r\n folded\r\nC: 3\r\n";
    ck_assert(head_of(four + "\r\n").status() == HeadStatus::complete);
    assert_head_refused(four + "D: 4\r\n", "the head has more than 4 lines");
    assert_head_refused(four + " \r\n", "the head has more than 4 lines");
}
END_TEST

WEBSOCKET_TEST_SUITE(response_head) {
    tcase_add_test(tests, reads_status_reason_and_fields);
    tcase_add_test(tests, joins_fields_of_the_same_name_to_a_list);
    tcase_add_test(tests, takes_a_folded_line_for_a_space);
    tcase_add_test(tests, stops_behind_the_head);
    tcase_add_test(tests, refuses_what_is_no_status_line);
    tcase_add_test(tests, refuses_a_line_that_does_not_end_with_both_cr_and_lf);
    tcase_add_test(tests, refuses_control_characters_and_nameless_fields);
    tcase_add_test(tests, refuses_a_line_with_its_first_byte_too_many);
    tcase_add_test(tests, refuses_too_many_lines);
}
