// SPDX-License-Identifier: Apache-2.0
// The lines about closed connections go to httpd's error log by way of the log writer: its write(2)
// may block, and they are written by event loops.
#pragma once

#include <httpd.h>

#include <atomic>
#include <map>
#include <mutex>
#include <string_view>

#include "httpd/log/log_format.hpp"
#include "httpd/log/log_writer.hpp"

namespace websocket::httpd {

/// The error log of one server, at level info.
class ErrorLogSink final : public LogSink {
public:
    ErrorLogSink(const server_rec* server, const std::atomic<bool>& ended) noexcept
        : server_(server), ended_(ended) {}

    [[nodiscard]] Written write(std::string_view line) noexcept override;
    void report_lost(std::uint64_t count) noexcept override;

private:
    const server_rec* server_;
    const std::atomic<bool>& ended_;
};

/// Those of all servers, and the lines that go there.
class ErrorLogSinks {
public:
    ErrorLogSinks();

    /// Throws std::bad_alloc. [any thread]
    [[nodiscard]] ErrorLogSink& of(const server_rec* server);

    /// Nothing more is written: the server_rec is about to go. Async-signal-safe. [any thread]
    void end() noexcept { ended_.store(true); }

    [[nodiscard]] const LogFormat& opening_line() const noexcept { return opening_line_; }
    [[nodiscard]] const LogFormat& closing_line() const noexcept { return closing_line_; }

private:
    const LogFormat opening_line_;
    const LogFormat closing_line_;
    std::atomic<bool> ended_{false};
    std::mutex mutex_;  // guards sinks_
    std::map<const server_rec*, ErrorLogSink> sinks_;
};

}  // namespace websocket::httpd
