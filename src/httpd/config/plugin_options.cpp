// SPDX-License-Identifier: Apache-2.0
#include "httpd/config/plugin_options.hpp"

#include <apr_strings.h>
#include <http_log.h>

#include <array>
#include <exception>
#include <string>

#include "httpd/module.hpp"
#include "plugin/v1/v1_instance.hpp"

namespace websocket::httpd {

namespace {

constexpr const char* kPluginsKey = "websocket-plugins";

/// True when the section's plugin likes its options.
bool check_section(apr_pool_t* pool, const PluginSection& section) {
    std::string why;
    try {
        const ws_plugin* plugin = section.config->plugin->v1();
        if (plugin != nullptr) {
            why = plugin::objection_to(*plugin,
                                       options_of(merged_config(pool, section, section.server)));
        } else if (!options_of(*section.config).empty()) {
            why = "a plugin of version 0 has no options";
        }
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

void note_plugin(const cmd_parms* cmd, const Config& config) {
    void* list = nullptr;
    apr_pool_userdata_get(&list, kPluginsKey, cmd->pool);
    if (list == nullptr) {
        list = apr_array_make(cmd->pool, 4, sizeof(PluginSection));
        apr_pool_userdata_setn(list, kPluginsKey, nullptr, cmd->pool);
    }
    *static_cast<PluginSection*>(apr_array_push(static_cast<apr_array_header_t*>(list))) = {
        &config, cmd->server, apr_pstrdup(cmd->pool, cmd->path), cmd->directive};
}

std::span<const PluginSection> plugin_sections(apr_pool_t* pconf) noexcept {
    void* list = nullptr;
    apr_pool_userdata_get(&list, kPluginsKey, pconf);
    if (list == nullptr) {
        return {};
    }
    const auto* array = static_cast<apr_array_header_t*>(list);
    return {reinterpret_cast<const PluginSection*>(array->elts),
            static_cast<std::size_t>(array->nelts)};
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
        good = check_section(ptemp, section) && good;
    }
    return good ? OK : HTTP_INTERNAL_SERVER_ERROR;
}

}  // namespace websocket::httpd
