// SPDX-License-Identifier: Apache-2.0
#include "bridge/stderr_log.hpp"

#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

namespace websocket::bridge {

namespace {

const char* name_of(base::LogLevel level) noexcept {
    switch (level) {
        case base::LogLevel::error: return "error";
        case base::LogLevel::warning: return "warn";
        case base::LogLevel::info: return "info";
        case base::LogLevel::debug: break;
    }
    return "debug";
}

}  // namespace

/// One call of write(2) for a line: others write to the same file.
void StderrLog::write(base::LogLevel level, std::string_view line) noexcept {
    if (level > most_) {
        return;
    }
    timeval now{};
    ::gettimeofday(&now, nullptr);
    tm parts{};
    ::localtime_r(&now.tv_sec, &parts);
    std::array<char, 32> date{};
    std::strftime(date.data(), date.size(), "%a %b %d %H:%M:%S", &parts);
    std::array<char, kLongest + 128> text;
    const int size =
        std::snprintf(text.data(), text.size(), "[%s.%06ld %d] [websocket:%s] [pid %d] %.*s\n",
                      date.data(), static_cast<long>(now.tv_usec), parts.tm_year + 1900,
                      name_of(level), static_cast<int>(::getpid()),
                      static_cast<int>(std::min(line.size(), kLongest)), line.data());
    static_cast<void>(
        !::write(STDERR_FILENO, text.data(),
                 std::min(static_cast<std::size_t>(std::max(size, 0)), text.size() - 1)));
}

}  // namespace websocket::bridge
