// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "plugin/common/option_list.hpp"

#include <cstring>
#include <string>
#include <utility>

#include "unit.hpp"

using websocket::plugin::OptionList;

namespace {

ws_option option(const char* name, const char* value) {
    return {name, std::strlen(name), value, std::strlen(value)};
}

}  // namespace

START_TEST(options_outlive_what_they_were_copied_from_and_a_move) {
    OptionList list;
    {
        const std::string limit = "limit";
        const std::string seven = "7";
        const std::string empty;
        const ws_option options[] = {option(limit.c_str(), seven.c_str()),
                                     option(seven.c_str(), empty.c_str())};
        OptionList made(options);
        list = std::move(made);
    }
    ck_assert_uint_eq(list.all().size(), 2);
    ck_assert_str_eq(list.all()[0].name, "limit");
    ck_assert_uint_eq(list.all()[0].name_size, 5);
    ck_assert_str_eq(list.all()[0].value, "7");
    ck_assert_uint_eq(list.all()[0].value_size, 1);
    ck_assert_str_eq(list.all()[1].name, "7");
    ck_assert_str_eq(list.all()[1].value, "");
    ck_assert_uint_eq(list.all()[1].value_size, 0);
}
END_TEST

START_TEST(lists_are_equal_when_names_values_and_their_order_are) {
    const ws_option options[] = {option("a", "1"), option("b", "2")};
    const ws_option others[] = {option("a", "1"), option("b", "3")};
    const ws_option turned[] = {options[1], options[0]};
    const ws_option shifted[] = {option("a1", ""), option("b", "2")};
    ck_assert(OptionList(options) == OptionList(options));
    ck_assert(OptionList() == OptionList());
    ck_assert(!(OptionList(options) == OptionList()));
    ck_assert(!(OptionList(options) == OptionList(others)));
    ck_assert(!(OptionList(options) == OptionList(turned)));
    ck_assert(!(OptionList(options) == OptionList(shifted)));
}
END_TEST

WEBSOCKET_TEST_SUITE(option_list) {
    tcase_add_test(tests, options_outlive_what_they_were_copied_from_and_a_move);
    tcase_add_test(tests, lists_are_equal_when_names_values_and_their_order_are);
}
