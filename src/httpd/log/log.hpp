// SPDX-License-Identifier: Apache-2.0
// Lines in httpd's error log.
#pragma once

#include <httpd.h>

#include <atomic>

#include "base/log.hpp"
#include "base/log_throttle.hpp"

namespace websocket::httpd {

class LogWriter;

/// Those of the layers below, which need not care how often they write: of the lines in kLimitedLines
/// most are left out when there are many.
class ErrorLog final : public base::Log {
public:
    explicit ErrorLog(const server_rec* server) noexcept : server_(server) {}
    void write(base::LogLevel level, std::string_view line) noexcept override;

    /// Nothing more is written: the server_rec is about to go. Async-signal-safe. [any thread]
    void end() noexcept { ended_.store(true); }

private:
    const server_rec* server_;
    std::atomic<bool> ended_{false};
};

/// A line about a request or connection that a client can cause. `format` begins with the line's id,
/// which has to be in kLimitedLines: of many such lines most are left out, and counted.
/// [httpd worker]
void log_limited(const request_rec* r, int level, const char* format, ...)
    __attribute__((format(printf, 3, 4)));
void log_limited(const conn_rec* c, int level, const char* format, ...)
    __attribute__((format(printf, 3, 4)));

/// Says how many lines were left out. True when some remain for later.
/// [any thread]
bool report_left_out(base::LogThrottle::Due due) noexcept;

/// Who calls report_left_out() a second after something was left out; null for nobody.
void set_reminder(LogWriter* writer) noexcept;

/// What a client sent, fit for a log line: escaped, and cut when very long. Lives in `pool`.
[[nodiscard]] const char* printable(apr_pool_t* pool, const char* text);

}  // namespace websocket::httpd
