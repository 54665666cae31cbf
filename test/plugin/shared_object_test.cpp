// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "plugin/common/shared_object.hpp"

#include <dlfcn.h>

#include <utility>

#include "plugin/built_plugin.hpp"
#include "unit.hpp"

using websocket::plugin::SharedObject;
using websocket::test::built_plugin;

namespace {

bool loaded(const std::string& path) {
    void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_NOLOAD);
    if (handle != nullptr) ::dlclose(handle);
    return handle != nullptr;
}

}  // namespace

START_TEST(says_why_a_file_cannot_be_loaded) {
    std::string error;
    const SharedObject missing = SharedObject::open("/nonexistent/plugin.so", error);
    ck_assert(!missing.valid());
    ck_assert(error.find("/nonexistent/plugin.so") != std::string::npos);
    std::string no_library;
    ck_assert(!SharedObject::open("/proc/self/status", no_library).valid());
    ck_assert(!no_library.empty());
}
END_TEST

START_TEST(finds_symbols_that_exist_and_no_others) {
    std::string error;
    const SharedObject object =
        SharedObject::open(built_plugin("plugins/mod_websocket_echo.so"), error);
    ck_assert_msg(object.valid(), "%s", error.c_str());
    ck_assert_ptr_nonnull(object.symbol("echo_init"));
    ck_assert_ptr_null(object.symbol("no_such_init"));
    ck_assert_ptr_null(object.symbol(""));
}
END_TEST

START_TEST(is_unloaded_with_its_last_owner) {
    const std::string path = built_plugin("plugins/mod_websocket_echo.so");
    std::string error;
    {
        SharedObject first = SharedObject::open(path, error);
        SharedObject second = std::move(first);
        ck_assert(!first.valid());  // NOLINT(bugprone-use-after-move): moved from is empty
        ck_assert(second.valid());
        SharedObject third;
        third = std::move(second);
        ck_assert(third.valid());
        ck_assert(loaded(path));
    }
    ck_assert(!loaded(path));
}
END_TEST

WEBSOCKET_TEST_SUITE(shared_object) {
    tcase_add_test(tests, says_why_a_file_cannot_be_loaded);
    tcase_add_test(tests, finds_symbols_that_exist_and_no_others);
    tcase_add_test(tests, is_unloaded_with_its_last_owner);
}
