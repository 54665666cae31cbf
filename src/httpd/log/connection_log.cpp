// SPDX-License-Identifier: Apache-2.0
#include "httpd/log/connection_log.hpp"

#include <apr_file_io.h>
#include <apr_portable.h>
#include <apr_strings.h>
#include <fcntl.h>
#include <http_log.h>

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "httpd/config/config.hpp"
#include "httpd/config/setting_value.hpp"
#include "httpd/module.hpp"

namespace websocket::httpd {

namespace {

/// What is written when the directive names no format.
constexpr const char* kDefaultFormat =
    "%a %u %t %v \"%U\" %{transport}w %{subprotocol}w %D %{messages-in}w %I %{messages-out}w %O "
    "%{code}w %{closed-by}w";

constexpr std::array<std::string_view, 3> kEvents{"Close", "Open", "Both"};

apr_status_t destroy_log(void* log) {
    delete static_cast<ConnectionLog*>(log);
    return APR_SUCCESS;
}

apr_status_t open_file(apr_pool_t* pool, const char* target, apr_file_t*& file) {
    const char* path = ap_server_root_relative(pool, target);
    constexpr apr_int32_t kFlags =
        APR_FOPEN_WRITE | APR_FOPEN_APPEND | APR_FOPEN_CREATE | APR_FOPEN_LARGEFILE;
    return path != nullptr ? apr_file_open(&file, path, kFlags, APR_FPROT_OS_DEFAULT, pool)
                           : APR_EBADPATH;
}

apr_status_t open_command(apr_pool_t* pool, const char* command, apr_file_t*& file) {
    piped_log* pipe = ap_open_piped_log(pool, command);
    if (pipe == nullptr) {
        return APR_EINIT;  // httpd has written why
    }
    file = ap_piped_log_write_fd(pipe);
    return APR_SUCCESS;
}

}  // namespace

bool ConnectionLog::open(apr_pool_t* pool, server_rec* server) {
    const bool command = target_.front() == '|';
    apr_file_t* file = nullptr;
    const apr_status_t status = command ? open_command(pool, target_.c_str() + 1, file)
                                        : open_file(pool, target_.c_str(), file);
    if (status != APR_SUCCESS || apr_os_file_get(&descriptor_, file) != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_ERR, command ? 0 : status, server,
                     "WS0134: cannot open WebSocketLog %s", target_.c_str());
        return false;
    }
    if (command) {
        // All who share this pipe are our writers, and they wait until it has room.
        ::fcntl(descriptor_, F_SETFL, ::fcntl(descriptor_, F_GETFL) | O_NONBLOCK);
    }
    server_ = server;
    return true;
}

void ConnectionLog::report_lost(std::uint64_t count) noexcept {
    ap_log_error(APLOG_MARK, APLOG_WARNING, 0, server_,
                 "WS0133: %" APR_UINT64_T_FMT " lines of WebSocketLog %s are lost: it takes them "
                 "too slowly or not at all, or memory is short",
                 static_cast<apr_uint64_t>(count), target_.c_str());
}

const char* add_connection_log(cmd_parms* cmd, const char* target, const char* format,
                               const char* events) {
    const auto refused = [cmd](const std::string& sentence) {
        return apr_pstrcat(cmd->pool, "WebSocketLog: ", sentence.c_str(), nullptr);
    };
    if (*target == '\0' || std::string_view(target) == "|") {
        return refused('"' + std::string(target) +
                       R"(" is not allowed; it takes a file, or a "|" and a command)");
    }
    std::string error;
    auto parsed = LogFormat::parse(format != nullptr ? format : kDefaultFormat, error);
    if (!parsed) {
        return refused(error);
    }
    const std::string_view chosen = events != nullptr ? events : kEvents.front();
    const auto when = parse_choice(chosen, kEvents);
    if (!when) {
        return refused('"' + std::string(chosen) +
                       "\" is not allowed; the third argument is Close, Open or Both");
    }
    auto log =
        std::make_unique<ConnectionLog>(target, std::move(*parsed), static_cast<LogEvents>(*when));
    Config& config = host_config(cmd->server);
    if (config.logs == nullptr) {
        config.logs = apr_array_make(cmd->pool, 2, sizeof(void*));
    }
    apr_pool_cleanup_register(cmd->pool, log.get(), destroy_log, apr_pool_cleanup_null);
    *static_cast<ConnectionLog**>(apr_array_push(config.logs)) = log.release();
    return nullptr;
}

int open_connection_logs(apr_pool_t* /*pconf*/, apr_pool_t* plog, apr_pool_t* /*ptemp*/,
                         server_rec* server) {
    apr_array_header_t* outer = host_config(server).logs;
    for (server_rec* host = server; host != nullptr; host = host->next) {
        Config& config = host_config(host);
        if (config.logs == nullptr) {
            config.logs = outer;  // a virtual host without one of its own
        }
        for (ConnectionLog* log : connection_logs(host)) {
            if (!log->is_open() && !log->open(plog, host)) {
                return HTTP_INTERNAL_SERVER_ERROR;
            }
        }
    }
    return OK;
}

std::span<ConnectionLog* const> connection_logs(const server_rec* server) noexcept {
    const apr_array_header_t* logs = host_config(server).logs;
    if (logs == nullptr) {
        return {};
    }
    return {reinterpret_cast<ConnectionLog* const*>(logs->elts),
            static_cast<std::size_t>(logs->nelts)};
}

}  // namespace websocket::httpd
