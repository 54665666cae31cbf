// SPDX-License-Identifier: Apache-2.0
// WebSocketLog: a file or a command that gets a line for each connection.
#pragma once

#include <httpd.h>

#include <http_config.h>

#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "httpd/log/log_format.hpp"
#include "httpd/log/log_writer.hpp"

namespace websocket::httpd {

/// When a line is written.
enum class LogEvents : std::uint8_t { close, open, both };

/// One directive. Opened by the parent before it becomes another user; its children inherit the
/// descriptor.
class ConnectionLog final : public LogSink {
public:
    /// `target` is a file, relative to ServerRoot, or '|' and a command.
    ConnectionLog(std::string target, LogFormat format, LogEvents events)
        : target_(std::move(target)), format_(std::move(format)), events_(events) {}

    /// False, and a line in the error log, when that cannot be. [config]
    [[nodiscard]] bool open(apr_pool_t* pool, server_rec* server);

    [[nodiscard]] bool is_open() const noexcept { return descriptor_ >= 0; }
    [[nodiscard]] const LogFormat& format() const noexcept { return format_; }
    [[nodiscard]] bool wants_open() const noexcept { return events_ != LogEvents::close; }
    [[nodiscard]] bool wants_close() const noexcept { return events_ != LogEvents::open; }

    [[nodiscard]] Written write(std::string_view line) noexcept override {
        return write_to(descriptor_, line);
    }
    [[nodiscard]] int descriptor() const noexcept override { return descriptor_; }
    void report_lost(std::uint64_t count) noexcept override;

private:
    const std::string target_;
    const LogFormat format_;
    const LogEvents events_;
    server_rec* server_ = nullptr;
    int descriptor_ = -1;
};

/// The directive's arguments; an error for the administrator, or null. [config]
[[nodiscard]] const char* add_connection_log(cmd_parms* cmd, const char* target, const char* format,
                                             const char* events);

/// Hook: opens the logs of all servers. [config]
int open_connection_logs(apr_pool_t* pconf, apr_pool_t* plog, apr_pool_t* ptemp,
                         server_rec* server);

/// The logs of a server. [any thread]
[[nodiscard]] std::span<ConnectionLog* const> connection_logs(const server_rec* server) noexcept;

}  // namespace websocket::httpd
