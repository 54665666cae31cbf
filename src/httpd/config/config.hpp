// SPDX-License-Identifier: Apache-2.0
// What the configuration files say, as httpd's per-directory and per-server records.
#pragma once

#include <httpd.h>

#include <http_config.h>

#include <array>
#include <cstdint>
#include <span>

#include "httpd/config/directives.hpp"
#include "httpd/config/section_base.hpp"
#include "httpd/config/section_path.hpp"
#include "httpd/takeover/pump_slots.hpp"
#include "plugin/common/loader.hpp"

namespace websocket::httpd {

/// The settings of one section or of the server process; lives in a pool.
struct Config {
    std::array<std::int64_t, kNumericSettings> values{};
    std::uint64_t configured = 0;            ///< bit per Setting
    SectionPath sections;                    ///< that these are the settings of
    const plugin::Plugin* plugin = nullptr;  ///< null: none here
    const char* plugin_place = "";           ///< plugin and section, as logs call them
    const char* plugin_section = "";         ///< of the WebSocketHandler
    SectionBase plugin_base = {};            ///< the same, as requests have it in their paths
    apr_array_header_t* trusted_origins = nullptr;  ///< of const char *; null: none
    apr_array_header_t* logs = nullptr;             ///< of ConnectionLog *, of a server; null: none
    /// Which directives the caps come from: connections below the same one are counted together.
    std::uint64_t address_cap = 0;
    std::uint64_t location_cap = 0;
    PumpSlots pump_slots;                   ///< of the server process
    int plugin_sections = 0;                ///< of the server process: those that name a plugin
    apr_array_header_t* options = nullptr;  ///< of ws_option, each name once; null: none
    /// Of a host: as configured, null for not; and what results, of a host that has been read.
    const char* chosen_topic_scope = nullptr;
    const char* topic_scope = "";
    apr_array_header_t* histories = nullptr;  ///< of TopicHistory, of a host; null: none
    /// Of the server process; null for not.
    const char* broker = nullptr;
    const char* broker_prefix = nullptr;
    const char* broker_password_file = nullptr;
    const char* broker_sentinel_password_file = nullptr;
    const char* broker_ca_file = nullptr;

    [[nodiscard]] bool has(Setting setting) const noexcept {
        return (configured & bit(setting)) != 0;
    }
    /// Configured value, or the directive's fallback.
    [[nodiscard]] std::int64_t get(Setting setting) const noexcept;
    void set(Setting setting, std::int64_t value) noexcept {
        values.at(static_cast<std::size_t>(setting)) = value;
        configured |= bit(setting);
    }

    [[nodiscard]] static constexpr std::uint64_t bit(Setting setting) noexcept {
        return std::uint64_t{1} << static_cast<unsigned>(setting);
    }
    static_assert(kNumericSettings <= 64);
};

/// Of the plugin; valid as long as the pool of `config`.
[[nodiscard]] std::span<const ws_option> options_of(const Config& config) noexcept;

/// The directives, for the module record.
[[nodiscard]] const command_rec* commands() noexcept;

void* create_directory_config(apr_pool_t* pool, char* path);
/// An inner section overrides only what it names; trusted origins add up. Associative.
void* merge_directory_configs(apr_pool_t* pool, void* outer, void* inner);
void* create_server_config(apr_pool_t* pool, server_rec* server);

/// The merged settings that apply to a request. [httpd worker]
[[nodiscard]] const Config& config_of(const request_rec* r) noexcept;
/// The settings of a main server or virtual host. [config]
[[nodiscard]] Config& host_config(const server_rec* server) noexcept;
/// The settings of the process.
[[nodiscard]] const Config& process_config(const server_rec* server) noexcept;

/// Checks what single directives cannot, and makes what all children inherit. [config]
int check_config(apr_pool_t* pconf, apr_pool_t* plog, apr_pool_t* ptemp, server_rec* server);

/// Asks the plugins whether their options are right, also for httpd -t. [config]
int check_options(apr_pool_t* pconf, apr_pool_t* plog, apr_pool_t* ptemp, server_rec* server);

}  // namespace websocket::httpd
