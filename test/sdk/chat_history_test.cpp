// SPDX-License-Identifier: Apache-2.0
#include "../../plugins/chat_history.hpp"

#include <string>
#include <vector>

#include "unit.hpp"

using chat::Histories;
using chat::History;
using chat::Line;

namespace {

/// What somebody has said, `size` bytes more or less.
Line said(std::int64_t at, const std::string& id, std::size_t size = 100) {
    return Line(std::string(chat::kBegin) + std::to_string(at) + std::string(chat::kId) + id +
                R"(","from":"a","text":")" + std::string(size, 'x') + "\"}");
}

std::string ids(const History& history) {
    std::string all;
    for (const Line& line : history.lines()) all += line.id;
    return all;
}

}  // namespace

START_TEST(lines_are_in_the_order_in_which_they_were_said) {
    Histories all({3, 1 << 20, 1 << 20});
    History room(all);
    ck_assert(room.add(said(2, "b")));
    ck_assert(room.add(said(1, "a")));
    ck_assert(room.add(said(2, "c")));
    ck_assert(!room.add(said(2, "b")));
    ck_assert(room.add(said(3, "d")));
    ck_assert(ids(room) == "bcd");
    ck_assert(!room.add(said(1, "a")));
    ck_assert(!room.add(Line("no line")));
}
END_TEST

START_TEST(a_room_keeps_no_more_than_its_bytes) {
    Histories all({1000, 10'000, 1 << 20});
    History room(all);
    for (int i = 0; i < 100; ++i) ck_assert(room.add(said(i, std::to_string(i), 1000)));
    ck_assert_uint_le(all.bytes(), 10'000);
    ck_assert_uint_ge(room.lines().size(), 7);
    ck_assert_str_eq(room.lines().back().id.c_str(), "99");
    ck_assert(!room.add(said(100, "too long", 10'000)));
    ck_assert_str_eq(room.lines().back().id.c_str(), "99");
}
END_TEST

START_TEST(the_room_that_takes_most_gives_when_all_take_too_much) {
    Histories all({1000, 40'000, 50'000});
    History quiet(all);
    ck_assert(quiet.add(said(1, "q", 1000)));
    History loud(all);
    History louder(all);
    for (int i = 0; i < 200; ++i) {
        ck_assert(loud.add(said(i, "l" + std::to_string(i), 1000)));
        ck_assert(louder.add(said(i, "m" + std::to_string(i), 2000)));
    }
    ck_assert_uint_le(all.bytes(), 50'000);
    ck_assert(ids(quiet) == "q");
    ck_assert_uint_ge(loud.lines().size(), 10);
    ck_assert_uint_ge(louder.lines().size(), 5);
}
END_TEST

START_TEST(a_room_that_is_forgotten_takes_nothing) {
    Histories all({1000, 40'000, 50'000});
    {
        History room(all);
        ck_assert(room.add(said(1, "a")));
        ck_assert_uint_gt(all.bytes(), 0);
    }
    ck_assert_uint_eq(all.bytes(), 0);
}
END_TEST

START_TEST(a_reader_goes_on_behind_what_it_has) {
    Histories all({4, 1 << 20, 1 << 20});
    History room(all);
    for (const auto& [at, id] : std::vector<std::pair<std::int64_t, std::string>>{
             {1, "a"}, {2, "b"}, {2, "c"}, {3, "d"}}) {
        ck_assert(room.add(said(at, id)));
    }
    const auto next = [&](std::int64_t at, const char* id) {
        const auto line = room.behind(at, id);
        return line != room.lines().end() ? line->id : std::string("end");
    };
    ck_assert(next(INT64_MIN, "") == "a");
    ck_assert(next(1, "a") == "b");
    ck_assert(next(2, "b") == "c");
    ck_assert(next(2, "c") == "d");
    ck_assert(next(3, "d") == "end");
    ck_assert(room.add(said(4, "e")));  // "a" goes
    ck_assert(next(1, "a") == "b");
    ck_assert(next(2, "forgotten") == "b");
}
END_TEST

START_TEST(text_is_quoted_as_json_wants_it) {
    ck_assert(chat::quoted("a\"\\\n\r\t\x01\x7f") == "\"a\\\"\\\\\\n\\r\\t\\u0001\x7f\"");
}
END_TEST

START_TEST(names_have_no_control_characters) {
    for (const char* name : {"a", "\xC3\xA4", "a b", "\xC2\xA0x"})
        ck_assert(chat::is_name(name, 64));
    for (const char* name : {"", "\n", "a\x7f",
                             "\xC2\x9B"
                             "31m",
                             "\xC2\x80"}) {
        ck_assert(!chat::is_name(name, 64));
    }
    ck_assert(!chat::is_name("abc", 2));
}
END_TEST

WEBSOCKET_TEST_SUITE(chat_history) {
    tcase_add_test(tests, lines_are_in_the_order_in_which_they_were_said);
    tcase_add_test(tests, a_room_keeps_no_more_than_its_bytes);
    tcase_add_test(tests, the_room_that_takes_most_gives_when_all_take_too_much);
    tcase_add_test(tests, a_room_that_is_forgotten_takes_nothing);
    tcase_add_test(tests, a_reader_goes_on_behind_what_it_has);
    tcase_add_test(tests, text_is_quoted_as_json_wants_it);
    tcase_add_test(tests, names_have_no_control_characters);
}
