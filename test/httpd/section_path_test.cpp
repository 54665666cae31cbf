// SPDX-License-Identifier: Apache-2.0
#include "httpd/config/section_path.hpp"

#include <array>

#include "unit.hpp"

using websocket::httpd::SectionPath;

namespace {

std::array<char, SectionPath::kMaxSections + 1> sections;

/// The path of sections by their numbers.
SectionPath path(const char* numbers) {
    SectionPath result(&sections.at(static_cast<std::size_t>(*numbers - '0')));
    while (*++numbers != '\0') {
        result.append(SectionPath(&sections.at(static_cast<std::size_t>(*numbers - '0'))));
    }
    return result;
}

SectionPath merged(SectionPath outer, const SectionPath& inner) {
    outer.append(inner);
    return outer;
}

}  // namespace

START_TEST(the_order_of_merging_does_not_matter_and_that_of_sections_does) {
    const SectionPath by_request = merged(merged(path("0"), path("1")), path("2"));
    const SectionPath by_walk = merged(path("0"), merged(path("1"), path("2")));
    ck_assert(by_request.known());
    ck_assert(by_request == by_walk);
    ck_assert_uint_eq(by_request.hash(), by_walk.hash());
    ck_assert(by_request != path("021"));
    ck_assert(by_request != path("01"));
    ck_assert(by_request != path("0122"));
    ck_assert_uint_ne(by_request.hash(), path("021").hash());
}
END_TEST

START_TEST(what_does_not_last_makes_everything_unknown) {
    ck_assert(!SectionPath().known());
    ck_assert(!merged(path("01"), SectionPath()).known());
    ck_assert(!merged(SectionPath(), path("01")).known());
    ck_assert(!merged(merged(path("0"), SectionPath()), path("1")).known());
}
END_TEST

START_TEST(too_many_sections_are_not_known) {
    ck_assert(path("01234567").known());
    ck_assert(!path("012345678").known());
    ck_assert(merged(path("0123"), path("4567")) == path("01234567"));
    ck_assert(!merged(path("01234"), path("5678")).known());
}
END_TEST

WEBSOCKET_TEST_SUITE(section_path) {
    tcase_add_test(tests, the_order_of_merging_does_not_matter_and_that_of_sections_does);
    tcase_add_test(tests, what_does_not_last_makes_everything_unknown);
    tcase_add_test(tests, too_many_sections_are_not_known);
}
