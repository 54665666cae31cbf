// SPDX-License-Identifier: Apache-2.0
#include "base/log.hpp"

#include <stdexcept>
#include <string>

#include "unit.hpp"

using websocket::base::ExceptionText;
using websocket::base::Log;
using websocket::base::LogLevel;

namespace {

class LastLine final : public Log {
public:
    void write(LogLevel level_of_line, std::string_view text) noexcept override {
        level = level_of_line;
        line = text;
    }
    LogLevel level{};
    std::string line;
};

template <class Thrown>
std::string text_of(const Thrown& thrown) {
    try {
        throw thrown;
    } catch (...) {
        const ExceptionText exception;
        return std::string(exception.separator) + exception.text;
    }
}

}  // namespace

START_TEST(prints_lines_as_printf_does) {
    LastLine log;
    log.print(LogLevel::warning, "WS0000: %s is %d", "one", 1);
    ck_assert(log.level == LogLevel::warning);
    ck_assert_str_eq(log.line.c_str(), "WS0000: one is 1");
}
END_TEST

START_TEST(cuts_off_what_is_too_long) {
    LastLine log;
    log.print(LogLevel::error, "%s", std::string(10'000, 'x').c_str());
    ck_assert_uint_eq(log.line.size(), Log::kLongest - 1);
}
END_TEST

START_TEST(tells_what_an_exception_says) {
    ck_assert(text_of(std::runtime_error("no luck")) == ": no luck");
    ck_assert(text_of(42).empty());
}
END_TEST

WEBSOCKET_TEST_SUITE(log) {
    tcase_add_test(tests, prints_lines_as_printf_does);
    tcase_add_test(tests, cuts_off_what_is_too_long);
    tcase_add_test(tests, tells_what_an_exception_says);
}
