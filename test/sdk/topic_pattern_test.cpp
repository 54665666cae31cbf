// SPDX-License-Identifier: Apache-2.0
#include "../../plugins/topic_pattern.hpp"

#include <string>

#include "unit.hpp"

using topic::objection_to_name;
using topic::Pattern;
using topic::with_user;

namespace {

bool matches(std::string_view pattern, std::string_view name, std::string_view user = {}) {
    return Pattern(pattern).matches(name, user);
}

}  // namespace

START_TEST(a_pattern_without_wildcards_is_one_name) {
    ck_assert(matches("news", "news"));
    for (const char* other : {"", "new", "newss", "News", "xnews", "news/"}) {
        ck_assert_msg(!matches("news", other), "%s", other);
    }
    ck_assert(matches("", ""));
}
END_TEST

START_TEST(an_asterisk_stays_within_its_part_and_two_do_not) {
    ck_assert(matches("news/*", "news/"));
    ck_assert(matches("news/*", "news/sport"));
    ck_assert(!matches("news/*", "news"));
    ck_assert(!matches("news/*", "news/sport/tennis"));
    ck_assert(matches("news/**", "news/sport/tennis"));
    ck_assert(matches("*/*/c", "a/b/c"));
    ck_assert(!matches("*/c", "a/b/c"));
    ck_assert(matches("**/c", "a/b/c"));
    ck_assert(matches("**/*x", "a/b/ax"));
    ck_assert(!matches("**/*x", "a/x/b"));
    ck_assert(matches("a*b*c", "a1b2b3c"));
    ck_assert(!matches("*", "a/b"));
    ck_assert(matches("**", "a/b"));
    ck_assert(matches("***", "a/b"));
    ck_assert(matches("*", "*"));
}
END_TEST

/// A matcher that goes back for each asterisk would not end before the test does.
START_TEST(no_pattern_takes_long) {
    std::string hostile;
    while (hostile.size() < topic::kLongestName - 3) hostile += "a*";
    const std::string name(topic::kLongestName, 'a');
    ck_assert(!matches(hostile + "b", name));
    ck_assert(!matches(std::string(hostile.size(), '*') + "b", name));
    std::string deep;
    while (deep.size() < topic::kLongestName - 5) deep += "**/*";
    ck_assert(!matches(deep + "b", std::string(topic::kLongestName, '/')));
}
END_TEST

START_TEST(the_name_of_a_user_is_no_pattern) {
    ck_assert(matches("inbox/{user}", "inbox/alice", "alice"));
    ck_assert(!matches("inbox/{user}", "inbox/bob", "alice"));
    ck_assert(!matches("inbox/{user}", "inbox/bob", "*"));
    ck_assert(matches("inbox/{user}", "inbox/*", "*"));
    ck_assert(matches("{user}/{user}", "a/a", "a"));
    ck_assert(!matches("inbox/{user}", "inbox/", ""));
    ck_assert(!matches("inbox/{user}*", "inbox/x", ""));
    ck_assert(!matches("inbox/{user}", "inbox/{user}", "alice"));
    ck_assert(with_user("a/{user}/{user}", "x") == "a/x/x");
    ck_assert(with_user("{user", "x") == "{user");
    ck_assert(with_user("{user}", "{user}") == "{user}");
}
END_TEST

START_TEST(names_are_short_text_without_control_characters) {
    ck_assert(objection_to_name("news/\xC3\xA4", 10).empty());
    ck_assert(objection_to_name("", 10) == "has 0 bytes; allowed are 1 to 10");
    ck_assert(!objection_to_name("12345678901", 10).empty());
    ck_assert(objection_to_name(std::string("a\0b", 3), 10) == "has a control character");
    ck_assert(!objection_to_name("a\n", 10).empty());
    ck_assert(!objection_to_name("a\x7F", 10).empty());
    ck_assert(objection_to_name("\xFF", 10) == "is not UTF-8");
}
END_TEST

WEBSOCKET_TEST_SUITE(topic_pattern) {
    tcase_add_test(tests, a_pattern_without_wildcards_is_one_name);
    tcase_add_test(tests, an_asterisk_stays_within_its_part_and_two_do_not);
    tcase_add_test(tests, no_pattern_takes_long);
    tcase_add_test(tests, the_name_of_a_user_is_no_pattern);
    tcase_add_test(tests, names_are_short_text_without_control_characters);
}
