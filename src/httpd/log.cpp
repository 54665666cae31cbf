// SPDX-License-Identifier: Apache-2.0
#include "httpd/log.hpp"

#include <apr_strings.h>
#include <http_config.h>
#include <http_log.h>

#include <cstring>

#include "httpd/module.hpp"

APLOG_USE_MODULE(websocket);

namespace websocket::httpd {

namespace {

constexpr std::size_t kLongestShown = 256;

int httpd_level(engine::LogLevel level) {
    switch (level) {
        case engine::LogLevel::error: return APLOG_ERR;
        case engine::LogLevel::warning: return APLOG_WARNING;
        case engine::LogLevel::info: return APLOG_INFO;
        case engine::LogLevel::debug: break;
    }
    return APLOG_DEBUG;
}

}  // namespace

void ErrorLog::write(engine::LogLevel level, std::string_view line) noexcept {
    if (ended_.load()) {
        return;
    }
    // Longer ones httpd cuts anyway; a plugin may write any.
    line = line.substr(0, MAX_STRING_LEN);
    ap_log_error(APLOG_MARK, httpd_level(level), 0, server_, "%.*s", static_cast<int>(line.size()),
                 line.data());
}

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
