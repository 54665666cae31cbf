// SPDX-License-Identifier: Apache-2.0
//
// How unit tests are written. A test file mirrors one header of src/ and looks like this, for
// instance test/protocol/masking_test.cpp:
//
//     #include "protocol/masking.hpp"
//
//     #include "unit.hpp"
//
//     START_TEST(unmasking_twice_gives_the_same_bytes) {
//         ck_assert_int_eq(1, 1);
//     }
//     END_TEST
//
//     WEBSOCKET_TEST_SUITE(masking) {
//         tcase_add_test(tests, unmasking_twice_gives_the_same_bytes);
//     }
//
// The block after WEBSOCKET_TEST_SUITE is a function that gets the Suite `suite` and its first test
// case, the TCase `tests`. Fixtures and limits are Check's own calls: tcase_add_checked_fixture
// (tests, setup, teardown), tcase_set_timeout(tests, 10), tcase_add_loop_test(...); a part that
// needs others adds a test case of its own with suite_add_tcase(suite, tcase_create("...")).
//
// A new file is found by itself; all of them make one program, build/VARIANT/test/unit-tests:
//
//     unit-tests               runs every suite
//     unit-tests masking utf8  runs these
//     CK_FORK=no unit-tests    runs the tests in this process, for a debugger
//
// Every test runs in a child process, so a crash is one failed test; it must not rely on what an
// earlier test left behind.
#pragma once

#include <check.h>

#undef fail  // an old name of ck_abort that breaks std::ios::fail in headers included later

namespace websocket::test {

// With a sanitizer each byte costs up to a hundred times as much. What would show it nothing new, being more of the
// same, is less then: the builds without one have all of it.
#ifdef __SANITIZE_THREAD__
inline constexpr bool kThreadSanitizer = true;
#else
inline constexpr bool kThreadSanitizer = false;
#endif
#ifdef __SANITIZE_ADDRESS__
inline constexpr bool kSanitizer = true;
#else
inline constexpr bool kSanitizer = kThreadSanitizer;
#endif

using FillSuite = void (*)(Suite* suite, TCase* tests);

/// A suite that can be run; made by WEBSOCKET_TEST_SUITE only, before main starts.
class RegisteredSuite {
public:
    RegisteredSuite(const char* name, FillSuite fill) noexcept;

    RegisteredSuite(const RegisteredSuite&) = delete;
    RegisteredSuite& operator=(const RegisteredSuite&) = delete;

    [[nodiscard]] const char* name() const noexcept { return name_; }

    /// The next suite in the alphabet, or null.
    [[nodiscard]] const RegisteredSuite* next() const noexcept { return next_; }

    /// A Suite of Check with all tests, which belongs to the SRunner that it is added to.
    [[nodiscard]] Suite* create() const;

    /// The first suite in the alphabet, or null if none was registered.
    [[nodiscard]] static const RegisteredSuite* first() noexcept;

private:
    const char* name_;
    FillSuite fill_;
    RegisteredSuite* next_ = nullptr;
};

}  // namespace websocket::test

#define WEBSOCKET_TEST_SUITE(suite_name)                                                           \
    static void fill_suite_##suite_name(Suite* suite, TCase* tests);                               \
    static ::websocket::test::RegisteredSuite registered_suite_##suite_name{                       \
        #suite_name, fill_suite_##suite_name};                                                     \
    static void fill_suite_##suite_name([[maybe_unused]] Suite* suite,                             \
                                        [[maybe_unused]] TCase* tests)
