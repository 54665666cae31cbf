// SPDX-License-Identifier: Apache-2.0
// The sections that name plugins; WebSocketOption lines, and what the plugins say to them.
#pragma once

#include <httpd.h>

#include <http_config.h>

#include <span>

#include "httpd/config/config.hpp"

namespace websocket::httpd {

/// A section, or a server outside of all, with a directive for plugins.
struct PluginSection {
    const Config* config;
    const server_rec* server;
    const char* path;  ///< of the section; null outside of all
    const ap_directive_t* directive;
};

/// Remembers a section that names a plugin. [config]
void note_plugin(const cmd_parms* cmd, const Config& config);
/// Remembers where there are WebSocketOption lines; once for each section. [config]
void note_options(const cmd_parms* cmd, const Config& config);

/// How many sections name plugins. [config]
[[nodiscard]] int count_plugins(apr_pool_t* pconf);

/// All of them. [config]
[[nodiscard]] std::span<const PluginSection> plugin_sections(apr_pool_t* pconf) noexcept;

/// What applies in the section, in that virtual host. Sections around it are known only when a request
/// comes; what stands outside of all is. [config]
[[nodiscard]] const Config& merged_config(apr_pool_t* pool, const PluginSection& section,
                                          const server_rec* server) noexcept;

}  // namespace websocket::httpd
