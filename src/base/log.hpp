// SPDX-License-Identifier: Apache-2.0
// Where the engine says what an administrator should know.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace websocket::base {

enum class LogLevel : std::uint8_t { error, warning, info, debug };

class Log {
public:
    /// Bytes of a line of print(), with its end; the rest is cut off.
    static constexpr std::size_t kLongest = 512;

    virtual ~Log() = default;
    /// One line, without a newline; begins with the message's id ("WS0301: "). [any thread]
    virtual void write(LogLevel level, std::string_view line) noexcept = 0;
    /// The same, put together as by printf(3).
    [[gnu::format(printf, 3, 4)]] void print(LogLevel level, const char* format, ...) noexcept;
};

/// What the exception says that is being handled, for the end of a line: nothing when it says nothing.
/// Valid in the handler.
struct ExceptionText {
    ExceptionText() noexcept;

    const char* separator = "";
    const char* text;
};

}  // namespace websocket::base
