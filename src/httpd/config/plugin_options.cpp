// SPDX-License-Identifier: Apache-2.0
#include "httpd/config/plugin_options.hpp"

#include <apr_strings.h>
#include <http_log.h>

#include <algorithm>
#include <exception>
#include <string>
#include <string_view>

#include "httpd/config/reach.hpp"
#include "httpd/module.hpp"
#include "plugin/v1/v1_instance.hpp"

namespace websocket::httpd {

namespace {

constexpr const char* kPluginsKey = "websocket-plugins";
constexpr const char* kOptionsKey = "websocket-options";

void note(const cmd_parms* cmd, const char* key, const Config& config) {
    void* list = nullptr;
    apr_pool_userdata_get(&list, key, cmd->pool);
    if (list == nullptr) {
        list = apr_array_make(cmd->pool, 4, sizeof(PluginSection));
        apr_pool_userdata_setn(list, key, nullptr, cmd->pool);
    }
    *static_cast<PluginSection*>(apr_array_push(static_cast<apr_array_header_t*>(list))) = {
        &config, cmd->server, apr_pstrdup(cmd->pool, cmd->path), cmd->directive};
}

std::span<const PluginSection> noted(apr_pool_t* pconf, const char* key) noexcept {
    void* list = nullptr;
    apr_pool_userdata_get(&list, key, pconf);
    if (list == nullptr) {
        return {};
    }
    const auto* array = static_cast<apr_array_header_t*>(list);
    return {reinterpret_cast<const PluginSection*>(array->elts),
            static_cast<std::size_t>(array->nelts)};
}

bool has_option(std::span<const ws_option> options, const ws_option& option) {
    return std::ranges::any_of(
        options, [&](const ws_option& one) { return std::string_view(one.name) == option.name; });
}

/// Whether an option that is not among `known` stands where it may hold for requests of the section, too: around
/// it, or in another that matches the same. What such requests have will be seen when one comes.
bool may_get_more(apr_pool_t* pconf, const PluginSection& section,
                  std::span<const ws_option> known) {
    const Reach reach = reach_of(*section.directive);
    return std::ranges::any_of(noted(pconf, kOptionsKey), [&](const PluginSection& other) {
        return may_meet(reach, reach_of(*other.directive)) &&
               !std::ranges::all_of(options_of(*other.config), [&](const ws_option& option) {
                   return has_option(known, option);
               });
    });
}

std::string objection_to(apr_pool_t* pconf, apr_pool_t* pool, const PluginSection& section) {
    const ws_plugin* plugin = section.config->plugin->v1();
    if (plugin == nullptr) {
        return options_of(*section.config).empty() ? "" : "a plugin of version 0 has no options";
    }
    const auto options = options_of(merged_config(pool, section, section.server));
    std::string why = plugin::objection_to(*plugin, options);
    return why.empty() || may_get_more(pconf, section, options) ? std::string() : why;
}

/// True when the section's plugin likes its options, or may like those that requests will find.
bool check_section(apr_pool_t* pconf, apr_pool_t* pool, const PluginSection& section) {
    std::string why;
    try {
        why = objection_to(pconf, pool, section);
    } catch (const std::exception&) {
        why = "out of memory";
    }
    if (why.empty()) {
        return true;
    }
    ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_ERR, 0, section.server,
                 "WS0410: WebSocketOption in section \"%s\" (WebSocketHandler at %s:%d): %s",
                 section.path, section.directive->filename, section.directive->line_num,
                 why.c_str());
    return false;
}

}  // namespace

void note_plugin(const cmd_parms* cmd, const Config& config) { note(cmd, kPluginsKey, config); }

void note_options(const cmd_parms* cmd, const Config& config) { note(cmd, kOptionsKey, config); }

std::span<const PluginSection> plugin_sections(apr_pool_t* pconf) noexcept {
    return noted(pconf, kPluginsKey);
}

int count_plugins(apr_pool_t* pconf) { return static_cast<int>(plugin_sections(pconf).size()); }

const Config& merged_config(apr_pool_t* pool, const PluginSection& section,
                            const server_rec* server) noexcept {
    const auto* outer =
        static_cast<Config*>(ap_get_module_config(server->lookup_defaults, &websocket_module));
    return *static_cast<const Config*>(merge_directory_configs(
        pool, const_cast<Config*>(outer), const_cast<Config*>(section.config)));
}

int check_options(apr_pool_t* pconf, apr_pool_t* /*plog*/, apr_pool_t* ptemp,
                  server_rec* /*server*/) {
    bool good = true;
    for (const PluginSection& section : plugin_sections(pconf)) {
        good = check_section(pconf, ptemp, section) && good;
    }
    return good ? OK : HTTP_INTERNAL_SERVER_ERROR;
}

}  // namespace websocket::httpd
