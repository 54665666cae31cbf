// SPDX-License-Identifier: Apache-2.0
// Where the engine says what an administrator should know.
#pragma once

#include <cstdint>
#include <string_view>

namespace websocket::base {

enum class LogLevel : std::uint8_t { error, warning, info, debug };

class Log {
public:
    virtual ~Log() = default;
    /// One line, without a newline; begins with the message's id ("WS0301: "). [any thread]
    virtual void write(LogLevel level, std::string_view line) noexcept = 0;
};

}  // namespace websocket::base
