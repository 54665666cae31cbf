// SPDX-License-Identifier: Apache-2.0
// Lines of the program for httpd's error log, which is its standard error.
#pragma once

#include <string_view>

#include "base/log.hpp"

namespace websocket::bridge {

/// They look like those that httpd writes itself when ErrorLogFormat is not set. [any thread]
class StderrLog final : public base::Log {
public:
    explicit StderrLog(base::LogLevel most) noexcept : most_(most) {}
    void write(base::LogLevel level, std::string_view line) noexcept override;

private:
    const base::LogLevel most_;
};

}  // namespace websocket::bridge
