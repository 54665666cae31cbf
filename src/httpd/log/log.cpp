// SPDX-License-Identifier: Apache-2.0
#include "httpd/log/log.hpp"

#include <apr_strings.h>
#include <http_config.h>
#include <http_log.h>

#include <array>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "httpd/log/line_limits.hpp"
#include "httpd/log/log_writer.hpp"
#include "httpd/module.hpp"

namespace websocket::httpd {

namespace {

constexpr std::size_t kLongestShown = 256;

// Hooks and handlers of httpd have no other place for them.
LineLimits line_limits;
std::atomic<LogWriter*> reminder{nullptr};

/// "" or what to add to a line before which others were left out.
struct Omission {
    std::array<char, 64> text{};

    explicit Omission(std::uint64_t count) noexcept {
        if (count != 0) {
            std::snprintf(text.data(), text.size(), "; %llu more such lines were left out before",
                          static_cast<unsigned long long>(count));
        }
    }
};

/// As LineLimits::permit(); what is left out will be told.
std::optional<std::uint64_t> permit(std::string_view line, int level, const server_rec* server) {
    const auto left_out = line_limits.permit(line_number(line), level, server);
    LogWriter* writer = reminder.load();
    if (!left_out && writer != nullptr) {
        writer->remind();
    }
    return left_out;
}

/// The line, with what was left out before it; null when it is to be left out itself.
const char* limited_line(apr_pool_t* pool, const server_rec* server, int level, const char* format,
                         std::va_list arguments) {
    const auto left_out = permit(format, level, server);
    if (!left_out) {
        return nullptr;
    }
    return apr_pstrcat(pool, apr_pvsprintf(pool, format, arguments),
                       Omission(*left_out).text.data(), nullptr);
}

int httpd_level(base::LogLevel level) {
    switch (level) {
        case base::LogLevel::error: return APLOG_ERR;
        case base::LogLevel::warning: return APLOG_WARNING;
        case base::LogLevel::info: return APLOG_INFO;
        case base::LogLevel::debug: break;
    }
    return APLOG_DEBUG;
}

}  // namespace

void ErrorLog::write(base::LogLevel level, std::string_view line) noexcept {
    if (ended_.load()) {
        return;
    }
    // Longer ones httpd cuts anyway; a plugin may write any.
    line = line.substr(0, MAX_STRING_LEN);
    if (const auto left_out = permit(line, httpd_level(level), server_)) {
        const Omission more(*left_out);
        ap_log_error(APLOG_MARK, httpd_level(level), 0, server_, "%.*s%s",
                     static_cast<int>(line.size()), line.data(), more.text.data());
    }
}

void log_limited(const request_rec* r, int level, const char* format, ...) {
    std::va_list arguments;
    va_start(arguments, format);
    if (APLOG_R_IS_LEVEL(r, level)) {
        if (const char* line = limited_line(r->pool, r->server, level, format, arguments)) {
            ap_log_rerror(APLOG_MARK, level, 0, r, "%s", line);
        }
    }
    va_end(arguments);
}

void log_limited(const conn_rec* c, int level, const char* format, ...) {
    std::va_list arguments;
    va_start(arguments, format);
    if (const char* line = limited_line(c->pool, c->base_server, level, format, arguments)) {
        ap_log_cerror(APLOG_MARK, level, 0, c, "%s", line);
    }
    va_end(arguments);
}

bool report_left_out(base::LogThrottle::Due due) noexcept {
    return line_limits.report(due, [](const LineLimits::LeftOut& lines) {
        ap_log_error(APLOG_MARK, lines.level, 0, lines.server,
                     "WS0115: %" APR_UINT64_T_FMT " more lines WS%04u were left out",
                     static_cast<apr_uint64_t>(lines.count), lines.number);
    });
}

void set_reminder(LogWriter* writer) noexcept { reminder.store(writer); }

const char* printable(apr_pool_t* pool, const char* text) {
    if (text == nullptr) {
        return "(none)";
    }
    const bool too_long = std::strlen(text) > kLongestShown;
    const char* shown = too_long ? apr_pstrmemdup(pool, text, kLongestShown) : text;
    return apr_pstrcat(pool, "\"", ap_escape_logitem(pool, shown), too_long ? "\"..." : "\"",
                       nullptr);
}

}  // namespace websocket::httpd
