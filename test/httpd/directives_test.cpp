// SPDX-License-Identifier: Apache-2.0
#include "httpd/config/directives.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <string_view>

#include "engine/rate_limits.hpp"
#include "httpd/config/setting_value.hpp"
#include "unit.hpp"

namespace {

using namespace websocket::httpd;

const Directive& named(std::string_view name) {
    const auto* found = std::ranges::find(kDirectives, name, &Directive::name);
    ck_assert_msg(found != kDirectives.end(), "%s is missing", std::string(name).c_str());
    return *found;
}

bool is_special(const Directive& directive) { return directive.kind == ValueKind::special; }

/// It depends on the machine, or on another directive.
bool has_no_fixed_default(const Directive& directive) {
    switch (directive.setting) {
        case Setting::threads:
        case Setting::max_pumped:
        case Setting::deflate_server_window_bits:
        case Setting::deflate_client_window_bits:
        case Setting::deflate_memory_level:
        case Setting::max_topics_per_location: return true;
        default: return false;
    }
}

}  // namespace

START_TEST(every_directive_has_a_name_of_its_own) {
    std::set<std::string_view> names;
    for (const Directive& directive : kDirectives) {
        ck_assert_msg(names.insert(directive.name).second, "%s", directive.name);
        const std::string_view name = directive.name;
        ck_assert(name.starts_with("WebSocket") || name == "MaxMessageSize");
    }
}
END_TEST

START_TEST(every_setting_can_be_set_and_only_one_has_two_names) {
    for (std::size_t i = 0; i <= static_cast<std::size_t>(Setting::log); ++i) {
        const auto setting = static_cast<Setting>(i);
        const auto names = std::ranges::count(kDirectives, setting, &Directive::setting);
        ck_assert_msg(names == (setting == Setting::max_message_size ? 2 : 1), "setting %zu", i);
    }
}
END_TEST

START_TEST(the_deprecated_name_means_the_same) {
    const Directive& name = named("WebSocketMaxMessageSize");
    const Directive& alias = named("MaxMessageSize");
    ck_assert(alias.setting == name.setting && alias.scope == name.scope);
    ck_assert(alias.kind == name.kind && alias.fallback == name.fallback);
    ck_assert(alias.least == name.least && alias.most == name.most);
}
END_TEST

START_TEST(what_is_not_configured_is_what_could_be_configured) {
    for (const Directive& directive : kDirectives) {
        if (is_special(directive) || has_no_fixed_default(directive)) continue;
        ck_assert_msg(directive.fallback >= directive.least, "%s", directive.name);
        ck_assert_msg(directive.fallback <= directive.most, "%s", directive.name);
    }
}
END_TEST

START_TEST(the_default_in_the_reference_is_the_default) {
    for (const Directive& directive : kDirectives) {
        if (is_special(directive) || has_no_fixed_default(directive)) continue;
        const ParsedValue value = parse_setting(directive, directive.fallback_text);
        ck_assert_msg(value.error.empty(), "%s", value.error.c_str());
        ck_assert_msg(value.value == directive.fallback, "%s", directive.name);
    }
}
END_TEST

START_TEST(the_choices_in_the_reference_are_the_choices) {
    for (const Directive& directive : kDirectives) {
        ck_assert((directive.kind == ValueKind::choice) == !directive.choices.empty());
        if (directive.kind != ValueKind::choice) continue;
        std::string shown;
        for (const std::string_view choice : directive.choices) {
            shown += shown.empty() ? "" : "\\|";
            shown += choice;
        }
        ck_assert_str_eq(shown.c_str(), directive.arguments);
        ck_assert_int_eq(directive.least, 0);
        ck_assert_uint_eq(static_cast<std::size_t>(directive.most), directive.choices.size() - 1);
    }
}
END_TEST

START_TEST(code_is_loaded_only_where_an_administrator_says_so) {
    for (const Directive& directive : kDirectives) {
        const bool plugin =
            directive.setting == Setting::handler || directive.setting == Setting::option;
        ck_assert((directive.scope == Scope::location) == plugin);
    }
}
END_TEST

START_TEST(threads_connections_the_drain_and_the_broker_are_settings_of_the_process) {
    for (const Directive& directive : kDirectives) {
        const Setting setting = directive.setting;
        const bool process = (setting >= Setting::threads && setting < Setting::handler) ||
                             setting >= Setting::broker;
        ck_assert_msg((directive.scope == Scope::process) == process, "%s", directive.name);
    }
}
END_TEST

START_TEST(htaccess_may_only_shape_how_an_endpoint_talks) {
    constexpr std::array kShapes{Setting::allow_reserved_status_codes, Setting::key_check,
                                 Setting::deflate, Setting::deflate_min_size};
    for (const Directive& directive : kDirectives) {
        const bool shapes = std::ranges::find(kShapes, directive.setting) != kShapes.end();
        ck_assert_msg((directive.scope == Scope::section) == shapes, "%s", directive.name);
    }
}
END_TEST

START_TEST(values_fit_the_types_that_they_are_used_as) {
    for (const Directive& directive : kDirectives) {
        ck_assert_int_ge(directive.least, 0);
        ck_assert_int_ge(directive.most, directive.least);
        if (directive.kind == ValueKind::count) ck_assert_int_le(directive.most, UINT32_MAX);
        if (directive.kind == ValueKind::duration) ck_assert_int_le(directive.most, kDay);
    }
}
END_TEST

START_TEST(every_directive_is_explained_in_a_sentence) {
    for (const Directive& directive : kDirectives) {
        ck_assert(std::string_view(directive.help).ends_with('.'));
        ck_assert(!std::string_view(directive.arguments).empty());
        ck_assert(!std::string_view(directive.fallback_text).empty());
    }
}
END_TEST

START_TEST(the_safe_choice_is_the_default) {
    const auto fallback = [](std::string_view name) { return named(name).fallback; };
    ck_assert_int_eq(fallback("WebSocketOriginCheck"), static_cast<int>(OriginCheck::same));
    ck_assert_int_eq(fallback("WebSocketKeyCheck"), static_cast<int>(KeyCheck::strict));
    ck_assert_int_eq(fallback("WebSocketAllowReservedStatusCodes"), 0);
    ck_assert_int_eq(fallback("WebSocketMaxMessageSize"), 33554432);
    ck_assert_int_eq(fallback("WebSocketMaxFragments"), 131072);
    ck_assert_int_eq(fallback("WebSocketMaxEmptyFragments"), 100);
    ck_assert_int_eq(fallback("WebSocketSendBuffer"), 262144);
    ck_assert_int_eq(fallback("WebSocketReceiveBuffer"), 262144);
    ck_assert_int_eq(fallback("WebSocketPingInterval"), 30000);
    ck_assert_int_eq(fallback("WebSocketPongTimeout"), 30000);
    ck_assert_int_eq(fallback("WebSocketCloseTimeout"), 5000);
    ck_assert_int_eq(fallback("WebSocketRatePolicy"),
                     static_cast<int>(websocket::engine::RatePolicy::slow));
    ck_assert(named("WebSocketRatePolicy").choices[1] == "Close");
    ck_assert(named("WebSocketDispatch").choices[0] == "Pool");
    ck_assert(named("WebSocketSlowConsumer").choices[0] == "Block");
}
END_TEST

WEBSOCKET_TEST_SUITE(directives) {
    tcase_add_test(tests, every_directive_has_a_name_of_its_own);
    tcase_add_test(tests, every_setting_can_be_set_and_only_one_has_two_names);
    tcase_add_test(tests, the_deprecated_name_means_the_same);
    tcase_add_test(tests, what_is_not_configured_is_what_could_be_configured);
    tcase_add_test(tests, the_default_in_the_reference_is_the_default);
    tcase_add_test(tests, the_choices_in_the_reference_are_the_choices);
    tcase_add_test(tests, code_is_loaded_only_where_an_administrator_says_so);
    tcase_add_test(tests, threads_connections_the_drain_and_the_broker_are_settings_of_the_process);
    tcase_add_test(tests, htaccess_may_only_shape_how_an_endpoint_talks);
    tcase_add_test(tests, values_fit_the_types_that_they_are_used_as);
    tcase_add_test(tests, every_directive_is_explained_in_a_sentence);
    tcase_add_test(tests, the_safe_choice_is_the_default);
}
