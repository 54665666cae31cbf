// SPDX-License-Identifier: Apache-2.0
#include "base/log.hpp"

#include <array>
#include <cstdarg>
#include <cstdio>
#include <exception>

namespace websocket::base {

void Log::print(LogLevel level, const char* format, ...) noexcept {
    std::array<char, kLongest> line;
    std::va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(line.data(), line.size(), format, arguments);
    va_end(arguments);
    write(level, line.data());
}

ExceptionText::ExceptionText() noexcept {
    try {
        throw;
    } catch (const std::exception& error) {
        separator = ": ";
        text = error.what();
    } catch (...) {
        text = "";
    }
}

}  // namespace websocket::base
