// SPDX-License-Identifier: Apache-2.0
#include "httpd/log/error_log_sink.hpp"

#include <http_config.h>
#include <http_log.h>

#include <string>

#include "httpd/module.hpp"

namespace websocket::httpd {

namespace {

LogFormat parsed(const char* text) {
    std::string error;
    return LogFormat::parse(text, error).value();
}

}  // namespace

LogSink::Written ErrorLogSink::write(std::string_view line) noexcept {
    if (!ended_.load()) {
        line.remove_suffix(1);  // its newline
        line = line.substr(0, MAX_STRING_LEN);
        ap_log_error(APLOG_MARK, APLOG_INFO, 0, server_, "%.*s", static_cast<int>(line.size()),
                     line.data());
    }
    return Written::yes;
}

void ErrorLogSink::report_lost(std::uint64_t count) noexcept {
    if (!ended_.load()) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, server_,
                     "WS0133: %" APR_UINT64_T_FMT
                     " lines of the error log are lost: it takes them too slowly, or memory "
                     "is short",
                     static_cast<apr_uint64_t>(count));
    }
}

ErrorLogSinks::ErrorLogSinks()
    : opening_line_(
          parsed("WS0131: opened %{id}w: client %a, location \"%U\", user %u, subprotocol "
                 "%{subprotocol}w, extensions %{extensions}w, transport %{transport}w")),
      closing_line_(parsed(
          "WS0132: closed %{id}w: client %a, location \"%U\", user %u, subprotocol "
          "%{subprotocol}w, extensions %{extensions}w, transport %{transport}w, after %{ms}T ms, "
          "in %{messages-in}w messages and %I bytes, out %{messages-out}w messages and %O bytes, "
          "code %{code}w by %{closed-by}w, reason \"%{reason}w\"")) {}

ErrorLogSink& ErrorLogSinks::of(const server_rec* server) {
    const std::lock_guard lock(mutex_);
    return sinks_.try_emplace(server, server, ended_).first->second;
}

}  // namespace websocket::httpd
