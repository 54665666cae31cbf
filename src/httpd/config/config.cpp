// SPDX-License-Identifier: Apache-2.0
#include "httpd/config/config.hpp"

#include <apr_strings.h>
#include <http_core.h>
#include <http_log.h>
#include <mpm_common.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <string_view>

#include "httpd/broker/broker_config.hpp"
#include "httpd/config/plugin_options.hpp"
#include "httpd/config/setting_value.hpp"
#include "httpd/handshake/connection_caps.hpp"
#include "httpd/log/connection_log.hpp"
#include "httpd/module.hpp"
#include "httpd/process/history.hpp"
#include "httpd/process/mpm.hpp"
#include "httpd/process/topics.hpp"
#include "protocol/origin.hpp"

namespace websocket::httpd {

namespace {

constexpr std::string_view kDeprecatedName = "MaxMessageSize";

/// Strings, vectors and plugins may run out of memory; httpd's config loop is C.
template <class Work>
const char* without_exceptions(Work work) noexcept {
    try {
        return work();
    } catch (const std::exception&) {
        return "out of memory";
    }
}

const Directive& directive_of(const cmd_parms* cmd) {
    return *static_cast<const Directive*>(cmd->info);
}

Config& target_of(cmd_parms* cmd, void* section) {
    if (directive_of(cmd).scope == Scope::process) {
        return host_config(cmd->server);
    }
    return *static_cast<Config*>(section);
}

const char* set_number(cmd_parms* cmd, void* section, const char* text) {
    return without_exceptions([&]() -> const char* {
        const Directive& directive = directive_of(cmd);
        if (directive.name == kDeprecatedName) {
            ap_log_error(APLOG_MARK, APLOG_WARNING, 0, cmd->server,
                         "WS0001: The MaxMessageSize directive (%s:%d) is deprecated; use "
                         "WebSocketMaxMessageSize instead",
                         cmd->directive->filename, cmd->directive->line_num);
        }
        const ParsedValue parsed = parse_setting(directive, text);
        if (!parsed.error.empty()) {
            return apr_pstrdup(cmd->pool, parsed.error.c_str());
        }
        Config& config = target_of(cmd, section);
        config.set(directive.setting, parsed.value);
        if (directive.setting == Setting::max_connections_per_address) {
            config.address_cap = cap_identity(cmd);
        } else if (directive.setting == Setting::max_connections_per_location) {
            config.location_cap = cap_identity(cmd);
        }
        return nullptr;
    });
}

/// Replaces the option of this name, or adds it.
void put_option(apr_pool_t* pool, apr_array_header_t*& options, const ws_option& option) {
    if (options == nullptr) {
        options = apr_array_make(pool, 4, sizeof(ws_option));
    }
    const std::span known(reinterpret_cast<ws_option*>(options->elts),
                          static_cast<std::size_t>(options->nelts));
    const auto same = std::ranges::find_if(
        known, [&](const ws_option& one) { return std::strcmp(one.name, option.name) == 0; });
    if (same != known.end()) {
        *same = option;
    } else {
        *static_cast<ws_option*>(apr_array_push(options)) = option;
    }
}

apr_status_t destroy_plugin(void* plugin) {
    delete static_cast<plugin::Plugin*>(plugin);
    return APR_SUCCESS;
}

const char* set_handler(cmd_parms* cmd, void* section, const char* path, const char* symbol) {
    return without_exceptions([&]() -> const char* {
        if (cmd->path == nullptr || *path == '\0' || *symbol == '\0') {
            return "Invalid parameters for WebSocketHandler (it takes a path and an init function, "
                   "inside <Location>, <Directory> or the like)";
        }
        std::string error;
        const char* file = ap_server_root_relative(cmd->pool, path);
        auto plugin = plugin::Plugin::load(file != nullptr ? file : path, path, symbol, error);
        if (plugin == nullptr) {
            return apr_pstrdup(cmd->pool, error.c_str());
        }
        auto* config = static_cast<Config*>(section);
        config->plugin = plugin.release();
        config->plugin_place =
            apr_psprintf(cmd->pool, R"(plugin "%s" in section "%s" (%s:%d))", path, cmd->path,
                         cmd->directive->filename, cmd->directive->line_num);
        config->plugin_section = cmd->path;
        config->plugin_base = section_base(cmd);
        note_plugin(cmd, *config);
        apr_pool_cleanup_register(cmd->pool, config->plugin, destroy_plugin, apr_pool_cleanup_null);
        return nullptr;
    });
}

const char* set_option(cmd_parms* cmd, void* section, const char* name, const char* value) {
    auto* config = static_cast<Config*>(section);
    if (config->options == nullptr) {
        note_options(cmd, *config);
    }
    put_option(cmd->pool, config->options,
               {apr_pstrdup(cmd->pool, name), std::strlen(name), apr_pstrdup(cmd->pool, value),
                std::strlen(value)});
    return nullptr;
}

const char* add_trusted_origin(cmd_parms* cmd, void* section, const char* origin) {
    return without_exceptions([&]() -> const char* {
        auto* config = static_cast<Config*>(section);
        if (config->trusted_origins == nullptr) {
            config->trusted_origins = apr_array_make(cmd->pool, 4, sizeof(const char*));
        }
        *static_cast<const char**>(apr_array_push(config->trusted_origins)) =
            apr_pstrdup(cmd->pool, protocol::read_trusted_origin(origin).text.c_str());
        return nullptr;
    });
}

const char* add_log(cmd_parms* cmd, void* /*section*/, const char* target, const char* format,
                    const char* events) {
    return without_exceptions([&] { return add_connection_log(cmd, target, format, events); });
}

const char* add_history(cmd_parms* cmd, void* /*section*/, const char* pattern,
                        const char* messages, const char* ttl) {
    return without_exceptions([&] { return add_topic_history(cmd, pattern, messages, ttl); });
}

/// An error where the directive may not stand, beyond what command_rec tells httpd: AllowOverrideList lets
/// .htaccess files have whatever may stand in a <Directory>.
const char* misplaced(cmd_parms* cmd) {
    switch (directive_of(cmd).scope) {
        case Scope::process: return ap_check_cmd_context(cmd, GLOBAL_ONLY);
        case Scope::guarded:
        case Scope::location: return ap_check_cmd_context(cmd, NOT_IN_HTACCESS);
        case Scope::section:
        case Scope::host: break;
    }
    return nullptr;
}

template <auto kSetter, class... Texts>
cmd_func checked(const char*(cmd_parms*, void*, Texts...)) {
    const auto command = +[](cmd_parms* cmd, void* section, Texts... texts) {
        const char* error = misplaced(cmd);
        return error != nullptr ? error : kSetter(cmd, section, texts...);
    };
    return reinterpret_cast<cmd_func>(reinterpret_cast<void (*)()>(command));
}

/// httpd calls each through the type that its args_how implies.
template <auto kSetter>
cmd_func as_command() {
    return checked<kSetter>(kSetter);
}

int contexts_of(Scope scope) {
    switch (scope) {
        case Scope::process:
        case Scope::host: return RSRC_CONF;
        case Scope::guarded:
        case Scope::location: return RSRC_CONF | ACCESS_CONF;  // the setter asks for a section
        case Scope::section: break;
    }
    return RSRC_CONF | ACCESS_CONF | OR_AUTHCFG;
}

command_rec command_of(const Directive& directive) {
    command_rec command{};
    command.name = directive.name;
    command.cmd_data = const_cast<Directive*>(&directive);  // httpd hands it back as it is
    command.req_override = contexts_of(directive.scope);
    command.errmsg = directive.help;
    switch (directive.setting) {
        case Setting::handler:
            command.func = as_command<set_handler>();
            command.args_how = TAKE2;
            break;
        case Setting::option:
            command.func = as_command<set_option>();
            command.args_how = TAKE2;
            break;
        case Setting::trusted_origin:
            command.func = as_command<add_trusted_origin>();
            command.args_how = ITERATE;
            break;
        case Setting::topic_scope:
            command.func = as_command<set_topic_scope>();
            command.args_how = TAKE1;
            break;
        case Setting::history:
            command.func = as_command<add_history>();
            command.args_how = TAKE3;
            break;
        case Setting::broker:
            command.func = as_command<set_broker>();
            command.args_how = TAKE1;
            break;
        case Setting::broker_prefix:
            command.func = as_command<set_broker_prefix>();
            command.args_how = TAKE1;
            break;
        case Setting::broker_password_file:
        case Setting::broker_sentinel_password_file:
        case Setting::broker_ca_file:
            command.func = as_command<set_broker_file>();
            command.args_how = TAKE1;
            break;
        case Setting::log:
            command.func = as_command<add_log>();
            command.args_how = TAKE123;
            break;
        default:
            command.func = as_command<set_number>();
            command.args_how = TAKE1;
            break;
    }
    return command;
}

const Directive& directive_for(Setting setting) {
    return *std::ranges::find(kDirectives, setting, &Directive::setting);
}

PumpSlots make_pump_slots(apr_pool_t* pconf, const Config& config) noexcept {
    const int threads = ask_mpm(is_prefork() ? AP_MPMQ_MAX_DAEMONS : AP_MPMQ_MAX_THREADS);
    const std::int64_t count = config.has(Setting::max_pumped) ? config.get(Setting::max_pumped)
                                                               : std::max(threads / 2, 1);
    return {pconf, static_cast<std::uint32_t>(count),
            !is_prefork() ? PumpSlots::For::each_process : PumpSlots::For::all_processes};
}

Config* make_config(apr_pool_t* pool) { return new (apr_palloc(pool, sizeof(Config))) Config(); }

/// While requests are served, what is read is an .htaccess file, for one of them.
bool reads_configuration() noexcept {
    const int state = ap_state_query(AP_SQ_MAIN_STATE);
    return state != AP_SQ_MS_RUN_MPM && state != AP_SQ_MS_EXITING;
}

}  // namespace

std::int64_t Config::get(Setting setting) const noexcept {
    return has(setting) ? values.at(static_cast<std::size_t>(setting))
                        : directive_for(setting).fallback;
}

std::span<const ws_option> options_of(const Config& config) noexcept {
    if (config.options == nullptr) {
        return {};
    }
    return {reinterpret_cast<const ws_option*>(config.options->elts),
            static_cast<std::size_t>(config.options->nelts)};
}

const command_rec* commands() noexcept {
    static const auto table = [] {
        std::array<command_rec, kDirectives.size() + 1> rows{};  // the last one ends the table
        std::ranges::transform(kDirectives, rows.begin(), command_of);
        return rows;
    }();
    return table.data();
}

void* create_directory_config(apr_pool_t* pool, char* /*path*/) {
    Config* config = make_config(pool);
    if (reads_configuration()) {
        config->sections = SectionPath(config);
    }
    return config;
}
void* create_server_config(apr_pool_t* pool, server_rec* /*server*/) { return make_config(pool); }

void* merge_directory_configs(apr_pool_t* pool, void* outer, void* inner) {
    const auto& base = *static_cast<const Config*>(outer);
    const auto& more = *static_cast<const Config*>(inner);
    Config* merged = make_config(pool);
    *merged = base;
    for (std::size_t i = 0; i < kNumericSettings; ++i) {
        const auto setting = static_cast<Setting>(i);
        if (more.has(setting)) {
            merged->set(setting, more.values.at(i));
        }
    }
    merged->address_cap = more.address_cap != 0 ? more.address_cap : base.address_cap;
    merged->location_cap = more.location_cap != 0 ? more.location_cap : base.location_cap;
    if (more.plugin != nullptr) {
        merged->plugin = more.plugin;
        merged->plugin_place = more.plugin_place;
        merged->plugin_section = more.plugin_section;
        merged->plugin_base = more.plugin_base;
    }
    if (more.trusted_origins != nullptr) {
        merged->trusted_origins =
            base.trusted_origins != nullptr
                ? apr_array_append(pool, base.trusted_origins, more.trusted_origins)
                : more.trusted_origins;
    }
    if (base.options != nullptr && more.options != nullptr) {
        merged->options = apr_array_copy(pool, base.options);
    }
    for (const ws_option& option : options_of(more)) {
        put_option(pool, merged->options, option);
    }
    merged->sections.append(more.sections);
    return merged;
}

const Config& config_of(const request_rec* r) noexcept {
    return *static_cast<const Config*>(ap_get_module_config(r->per_dir_config, &websocket_module));
}

Config& host_config(const server_rec* server) noexcept {
    return *static_cast<Config*>(ap_get_module_config(server->module_config, &websocket_module));
}

const Config& process_config(const server_rec* server) noexcept { return host_config(server); }

int check_config(apr_pool_t* pconf, apr_pool_t* /*plog*/, apr_pool_t* /*ptemp*/,
                 server_rec* server) {
    Config& config = host_config(server);
    const auto least = config.get(Setting::pool_min_threads);
    const auto most = config.get(Setting::pool_max_threads);
    if (least > most) {
        ap_log_error(
            APLOG_MARK, APLOG_STARTUP | APLOG_ERR, 0, server,
            "WS0002: WebSocketPoolMinThreads: %" APR_INT64_T_FMT
            " is not allowed; it may be at most WebSocketPoolMaxThreads, %" APR_INT64_T_FMT,
            least, most);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    config.pump_slots = make_pump_slots(pconf, config);
    config.plugin_sections = count_plugins(pconf);
    return OK;
}

}  // namespace websocket::httpd
