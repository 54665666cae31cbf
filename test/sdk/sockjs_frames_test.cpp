// SPDX-License-Identifier: Apache-2.0
#include <optional>
#include <string>
#include <string_view>
#include <vector>
#include <websocket/sockjs_frames.hpp>

#include "unit.hpp"

namespace {

using websocket::sockjs::close_frame;
using websocket::sockjs::FrameReader;
using websocket::sockjs::kMaxBatch;
using websocket::sockjs::message_frame;

using Messages = std::vector<std::string>;

std::string array_of(std::size_t count) {
    std::string frame = "[";
    for (std::size_t i = 0; i < count; ++i) frame += i == 0 ? "\"x\"" : ",\"x\"";
    return frame + "]";
}

}  // namespace

START_TEST(what_is_no_array_of_strings_is_refused) {
    for (const std::string_view frame : {"[",
                                         "]",
                                         "[\"a\"",
                                         "[\"a",
                                         "\"",
                                         "\"a",
                                         "[\"a\",]",
                                         "[,\"a\"]",
                                         "[\"a\"\"b\"]",
                                         "[1]",
                                         "[null]",
                                         "[[\"a\"]]",
                                         "{}",
                                         "x",
                                         "[\"a\"]x",
                                         "\"a\"\"b\"",
                                         "[\"\\x\"]",
                                         "[\"\\",
                                         "[\"\\u\"]",
                                         "[\"\\u123\"]",
                                         "[\"\\u123g\"]",
                                         "[\"\\ud800\\u\"]",
                                         "[\"\\ud800\\udc0\"]",
                                         "[\"a\nb\"]",
                                         "[\"a\tb\"]",
                                         "\xEF\xBB\xBF[]"}) {
        ck_assert_msg(!FrameReader::read(frame), "%s", std::string(frame).c_str());
    }
    ck_assert(!FrameReader::read(std::string_view("[\"a\0b\"]", 7)));
}
END_TEST

START_TEST(a_frame_has_a_bounded_number_of_messages) {
    ck_assert(FrameReader::read(array_of(kMaxBatch))->size() == kMaxBatch);
    ck_assert(!FrameReader::read(array_of(kMaxBatch + 1)));
}
END_TEST

START_TEST(an_empty_frame_has_no_message) {
    for (const char* frame : {"", " ", "[]", " [ ] "}) {
        ck_assert(FrameReader::read(frame) == std::optional(Messages()));
    }
}
END_TEST

START_TEST(messages_are_read_in_their_order) {
    ck_assert(FrameReader::read(R"(["a","","b"])") == std::optional(Messages{"a", "", "b"}));
    ck_assert(FrameReader::read("\t\"single\"\r\n") == std::optional(Messages{"single"}));
    ck_assert(FrameReader::read(R"(["\"\\\/\b\f\n\r\t"])") ==
              std::optional(Messages{"\"\\/\b\f\n\r\t"}));
    ck_assert(FrameReader::read(R"(["\u00e4\u20AC\ud83d\ude00"])") ==
              std::optional(Messages{"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80"}));
}
END_TEST

START_TEST(half_of_a_surrogate_pair_is_replaced) {
    constexpr const char* kReplaced = "\xEF\xBF\xBD";
    for (const char* frame : {R"("\ud800")", R"("\udfff")"}) {
        ck_assert(FrameReader::read(frame) == std::optional(Messages{kReplaced}));
    }
    ck_assert(FrameReader::read(R"("\ud800\ud800\udc00")") ==
              std::optional(Messages{std::string(kReplaced) + "\xF0\x90\x80\x80"}));
    ck_assert(FrameReader::read(R"("\ud800\u0041")") ==
              std::optional(Messages{std::string(kReplaced) + "A"}));
}
END_TEST

START_TEST(what_clients_would_lose_is_written_as_escapes) {
    ck_assert(message_frame("a\"b\\c") == R"(a["a\"b\\c"])");
    ck_assert(message_frame(std::string_view("\0\x1F\x7F", 3)) == "a[\"\\u0000\\u001f\x7F\"]");
    ck_assert(message_frame("\xE2\x80\x8C\xE2\x80\xA8\xE2\x81\xA0\xEF\xBF\xB0\xEF\xBF\xBF") ==
              R"(a["\u200c\u2028\u2060\ufff0\uffff"])");
    ck_assert(message_frame("\xE2\x80\x8B\xE2\x80\x90\xE2\x82\xAC\xEF\xBF\xAF") ==
              "a[\"\xE2\x80\x8B\xE2\x80\x90\xE2\x82\xAC\xEF\xBF\xAF\"]");
    ck_assert(message_frame(std::string_view("\xE2\x00\x8C", 3)) == "a[\"\xE2\\u0000\x8C\"]");
    ck_assert(message_frame("") == "a[\"\"]");
    ck_assert(close_frame(3000, "Go \"away\"!") == R"(c[3000,"Go \"away\"!"])");
}
END_TEST

WEBSOCKET_TEST_SUITE(sdk_sockjs_frames) {
    tcase_add_test(tests, what_is_no_array_of_strings_is_refused);
    tcase_add_test(tests, a_frame_has_a_bounded_number_of_messages);
    tcase_add_test(tests, an_empty_frame_has_no_message);
    tcase_add_test(tests, messages_are_read_in_their_order);
    tcase_add_test(tests, half_of_a_surrogate_pair_is_replaced);
    tcase_add_test(tests, what_clients_would_lose_is_written_as_escapes);
}
