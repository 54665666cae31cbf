// SPDX-License-Identifier: Apache-2.0
// The sentences are those of apache-websocket: tools that look for them keep finding them.
// One thread: nothing to see for ThreadSanitizer.
#include "plugin/common/loader.hpp"

#include "plugin/built_plugin.hpp"
#include "unit.hpp"

using websocket::plugin::Plugin;
using websocket::test::built_plugin;

namespace {

/// Why it could not be loaded; empty when it could.
std::string error_of(const std::string& path, const std::string& symbol) {
    std::string error;
    const auto plugin = Plugin::load(path, "SHOWN", symbol, error);
    ck_assert_int_eq(plugin == nullptr, !error.empty());
    return error;
}

void expect_invalid(const std::string& name, const std::string& reason) {
    const std::string error =
        error_of(built_plugin("test/plugins/" + name + ".so"), name + "_init");
    const std::string expected = "Invalid response from WebSocketHandler initialization function " +
                                 name + "_init (" + reason + ")";
    ck_assert_str_eq(error.c_str(), expected.c_str());
}

}  // namespace

START_TEST(a_good_plugin_is_ready_to_be_called) {
    std::string error;
    const auto plugin =
        Plugin::load(built_plugin("plugins/mod_websocket_echo.so"), "echo.so", "echo_init", error);
    ck_assert_msg(plugin != nullptr, "%s", error.c_str());
    ck_assert(plugin->callbacks().on_message != nullptr);
    ck_assert_uint_ge(plugin->callbacks().size, sizeof(WebSocketPlugin));
}
END_TEST

START_TEST(a_plugin_may_be_loaded_twice) {
    std::string error;
    const std::string path = built_plugin("plugins/mod_websocket_echo.so");
    const auto first = Plugin::load(path, "echo.so", "echo_init", error);
    auto second = Plugin::load(path, "echo.so", "echo_init", error);
    ck_assert(first != nullptr && second != nullptr);
    second.reset();
    ck_assert(first->callbacks().on_message != nullptr);
}
END_TEST

START_TEST(a_file_that_cannot_be_loaded_is_shown_as_it_was_written) {
    const std::string error = error_of("/nonexistent/plugin.so", "init");
    ck_assert_msg(error.starts_with("Could not load WebSocketHandler SHOWN: "), "%s",
                  error.c_str());
    ck_assert(error.find("No such file") != std::string::npos);
}
END_TEST

START_TEST(a_missing_init_function_is_named) {
    const std::string error = error_of(built_plugin("plugins/mod_websocket_echo.so"), "no_init");
    ck_assert_str_eq(
        error.c_str(),
        "Could not find initialization function \"no_init\" for WebSocketHandler SHOWN");
}
END_TEST

START_TEST(an_invalid_answer_says_what_is_wrong_with_it) {
    expect_invalid("bad_null", "returned NULL");
    expect_invalid("bad_version", "unsupported plugin version 7");
    expect_invalid("bad_size", "invalid plugin size; check plugin version and compiler");
    expect_invalid("bad_no_message", "on_message handler is NULL");
}
END_TEST

WEBSOCKET_TEST_SUITE(loader) {
    tcase_add_test(tests, a_good_plugin_is_ready_to_be_called);
    tcase_add_test(tests, a_plugin_may_be_loaded_twice);
    tcase_add_test(tests, a_file_that_cannot_be_loaded_is_shown_as_it_was_written);
    tcase_add_test(tests, a_missing_init_function_is_named);
    tcase_add_test(tests, an_invalid_answer_says_what_is_wrong_with_it);
}
