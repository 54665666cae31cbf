// SPDX-License-Identifier: Apache-2.0
#include "httpd/broker/broker_config.hpp"

#include <apr_strings.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <http_log.h>
#include <sys/stat.h>
#include <unistd.h>
#include <unixd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <string_view>

#include "base/descriptor.hpp"
#include "httpd/config/config.hpp"
#include "httpd/module.hpp"
#include "hub/broker_url.hpp"

namespace websocket::httpd {

namespace {

constexpr const char* kDefaultChannelPrefix = "ws:";
constexpr const char* kDefaultSubjectPrefix = "ws.";
constexpr std::size_t kLongestPrefix = 100;
constexpr std::size_t kLongestPassword = 1024;
constexpr const char* kProgram = "websocket-bridge";

bool is_directive(const cmd_parms* cmd, std::string_view name) { return name == cmd->cmd->name; }

/// The first line. False, and `error` is for people, when there is none.
bool read_password(const char* directive, const char* path, std::string& password,
                   std::string& error) {
    if (path == nullptr) {
        return true;
    }
    error = std::string(directive) + ": \"" + path + "\" ";
    const base::Descriptor file(::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    std::array<char, kLongestPassword + 2> text;
    const ssize_t size = file.valid() ? ::read(file.get(), text.data(), text.size()) : -1;
    if (size < 0) {
        error += std::string("cannot be read: ") + std::strerror(errno);
        return false;
    }
    std::string_view line(text.data(), static_cast<std::size_t>(size));
    line = line.substr(0, line.find('\n'));
    if (line.ends_with('\r')) {
        line.remove_suffix(1);
    }
    if (line.empty() || line.size() > kLongestPassword ||
        line.find('\0') != std::string_view::npos) {
        error += "must have the password in its first line, of 1 to " +
                 std::to_string(kLongestPassword) + " bytes and without a NUL";
        return false;
    }
    password = line;
    error.clear();
    return true;
}

int complain(const server_rec* server, const std::string& what) {
    ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_ERR, 0, server, "WS0620: %s", what.c_str());
    return HTTP_INTERNAL_SERVER_ERROR;
}

/// Of a subject, whose tokens are never empty; the last one goes on with a scope.
bool may_begin_subjects(std::string_view prefix) noexcept {
    return prefix.find_first_of("*>") == std::string_view::npos && !prefix.starts_with('.') &&
           prefix.find("..") == std::string_view::npos;
}

/// What is wrong with the credentials; empty: nothing.
std::string find_wrong_credentials(const Config& config, const hub::BrokerUrl& url) {
    if (!url.password.empty() && config.broker_password_file != nullptr) {
        return "WebSocketBrokerPasswordFile: there is a password in WebSocketBroker already; write "
               "one of them";
    }
    if (!url.user.empty() && url.password.empty() && config.broker_password_file == nullptr) {
        return "WebSocketBroker: the user \"" + url.user +
               "\" needs a password: user:password@, or WebSocketBrokerPasswordFile";
    }
    return {};
}

/// What is wrong with directives that belong together; empty: nothing.
std::string find_contradiction(const Config& config) {
    if (config.broker == nullptr) {
        struct Lonely {
            const char* name;
            bool is_there;
        };
        for (const Lonely& lonely :
             {Lonely{"WebSocketBrokerPrefix", config.broker_prefix != nullptr},
              Lonely{"WebSocketBrokerPasswordFile", config.broker_password_file != nullptr},
              Lonely{"WebSocketBrokerSentinelPasswordFile",
                     config.broker_sentinel_password_file != nullptr},
              Lonely{"WebSocketBrokerBuffer", config.has(Setting::broker_buffer)},
              Lonely{"WebSocketBrokerCAFile", config.broker_ca_file != nullptr},
              Lonely{"WebSocketBrokerVerify", config.has(Setting::broker_verify)}}) {
            if (lonely.is_there) {
                return std::string(lonely.name) + " needs WebSocketBroker";
            }
        }
        return {};
    }
    const hub::BrokerUrl url = hub::parse_broker_url(config.broker).url;
    if (std::string wrong = find_wrong_credentials(config, url); !wrong.empty()) {
        return wrong;
    }
    const char* const tls_only = config.broker_ca_file != nullptr     ? "WebSocketBrokerCAFile"
                                 : config.has(Setting::broker_verify) ? "WebSocketBrokerVerify"
                                                                      : nullptr;
    if (!url.tls && tls_only != nullptr) {
        return std::string(tls_only) +
               " is for TLS: WebSocketBroker must begin with rediss or nats+tls";
    }
    if (url.kind == hub::BrokerUrl::Kind::nats && config.broker_prefix != nullptr &&
        !may_begin_subjects(config.broker_prefix)) {
        return "WebSocketBrokerPrefix: subjects of NATS cannot begin with \"" +
               std::string(config.broker_prefix) +
               "\"; it must have no * and no >, no dot at its beginning and no two in a row";
    }
    if (url.master.empty() && config.broker_sentinel_password_file != nullptr) {
        return "WebSocketBrokerSentinelPasswordFile is for sentinels: WebSocketBroker must begin "
               "with redis+sentinel or rediss+sentinel";
    }
    if (config.broker_ca_file != nullptr && config.get(Setting::broker_verify) == 0) {
        return "WebSocketBrokerCAFile has no use with WebSocketBrokerVerify Off";
    }
    return {};
}

/// The program begins in the folder that children live in, at the same path; empty: nothing is wrong.
std::string find_missing_in_chroot(const std::string& program) {
    if (ap_unixd_config.chroot_dir == nullptr) {
        return {};
    }
    const std::string inside = ap_unixd_config.chroot_dir + program;
    return ::access(inside.c_str(), X_OK) == 0
               ? std::string()
               : "WebSocketBroker: with ChrootDir the program has to be in there, too, with the "
                 "libraries that it needs: " +
                     inside + ": " + std::strerror(errno);
}

}  // namespace

const char* set_broker(cmd_parms* cmd, void* /*section*/, const char* url) {
    try {
        const hub::ParsedBrokerUrl parsed = hub::parse_broker_url(url);
        if (!parsed.error.empty()) {
            return apr_psprintf(cmd->pool, "WebSocketBroker %s", parsed.error.c_str());
        }
    } catch (const std::exception&) {
        return "out of memory";
    }
    host_config(cmd->server).broker = apr_pstrdup(cmd->pool, url);
    return nullptr;
}

const char* set_broker_prefix(cmd_parms* cmd, void* /*section*/, const char* prefix) {
    const std::string_view text(prefix);
    const auto visible = [](char c) { return c > 0x20 && c < 0x7F; };
    if (text.empty() || text.size() > kLongestPrefix || !std::ranges::all_of(text, visible)) {
        return apr_psprintf(
            cmd->pool,
            "WebSocketBrokerPrefix must be 1 to %d characters of ASCII without blanks, not \"%s\"",
            static_cast<int>(kLongestPrefix), prefix);
    }
    host_config(cmd->server).broker_prefix = apr_pstrdup(cmd->pool, prefix);
    return nullptr;
}

const char* set_broker_file(cmd_parms* cmd, void* /*section*/, const char* file) {
    const char* path = ap_server_root_relative(cmd->pool, file);
    struct stat status {};
    if (*file == '\0' || path == nullptr || ::stat(path, &status) != 0) {
        return apr_psprintf(cmd->pool, "%s: there is no file \"%s\"", cmd->cmd->name, file);
    }
    if (S_ISDIR(status.st_mode)) {
        return apr_psprintf(cmd->pool, "%s: \"%s\" is a folder; it must be a file", cmd->cmd->name,
                            file);
    }
    Config& config = host_config(cmd->server);
    (is_directive(cmd, "WebSocketBrokerCAFile")         ? config.broker_ca_file
     : is_directive(cmd, "WebSocketBrokerPasswordFile") ? config.broker_password_file
                                                        : config.broker_sentinel_password_file) =
        path;
    return nullptr;
}

std::string bridge_program() {
    Dl_info module{};
    if (::dladdr(&websocket_module, &module) == 0 || module.dli_fname == nullptr) {
        return {};
    }
    const std::string_view file(module.dli_fname);
    const std::size_t slash = file.rfind('/');
    return std::string(file.substr(0, slash == std::string_view::npos ? 0 : slash + 1)) + kProgram;
}

int check_broker(apr_pool_t* /*pconf*/, apr_pool_t* /*plog*/, apr_pool_t* /*ptemp*/,
                 server_rec* server) {
    try {
        const std::string wrong = find_contradiction(host_config(server));
        if (!wrong.empty()) {
            return complain(server, wrong);
        }
        if (host_config(server).broker == nullptr) {
            return OK;
        }
        hub::BrokerSettings settings;
        std::string error;
        if (!make_broker_settings(server, settings, error)) {
            return complain(server, error);
        }
        const std::string program = bridge_program();
        if (::access(program.c_str(), X_OK) != 0) {
            return complain(
                server, "WebSocketBroker needs the program " + program +
                            ", which is not there: " + std::strerror(errno) +
                            "; it is built and installed where libhiredis-dev or libnats-dev is");
        }
        if (const std::string caged = find_missing_in_chroot(program); !caged.empty()) {
            return complain(server, caged);
        }
        return OK;
    } catch (const std::exception&) {
        return complain(server, "WebSocketBroker: out of memory");
    }
}

bool make_broker_settings(server_rec* server, hub::BrokerSettings& settings, std::string& error) {
    const Config& config = host_config(server);
    settings.url = config.broker;
    const bool nats = hub::parse_broker_url(config.broker).url.kind == hub::BrokerUrl::Kind::nats;
    settings.prefix = config.broker_prefix != nullptr ? config.broker_prefix
                      : nats                          ? kDefaultSubjectPrefix
                                                      : kDefaultChannelPrefix;
    settings.ca_file = config.broker_ca_file != nullptr ? config.broker_ca_file : "";
    settings.verify = config.get(Setting::broker_verify) != 0;
    settings.buffer = static_cast<std::size_t>(config.get(Setting::broker_buffer));
    settings.topic_buffer = static_cast<std::size_t>(config.get(Setting::topic_buffer));
    const int level = ap_get_server_module_loglevel(server, websocket_module.module_index);
    settings.level = level >= APLOG_DEBUG     ? base::LogLevel::debug
                     : level >= APLOG_INFO    ? base::LogLevel::info
                     : level >= APLOG_WARNING ? base::LogLevel::warning
                                              : base::LogLevel::error;
    return read_password("WebSocketBrokerPasswordFile", config.broker_password_file,
                         settings.password, error) &&
           read_password("WebSocketBrokerSentinelPasswordFile",
                         config.broker_sentinel_password_file, settings.sentinel_password, error);
}

}  // namespace websocket::httpd
