// SPDX-License-Identifier: Apache-2.0
#include "httpd/config/endpoint_settings.hpp"

#include <dlfcn.h>
#include <http_config.h>

#include <chrono>
#include <exception>
#include <span>
#include <string>
#include <utility>

#include "httpd/config/plugin_options.hpp"
#include "httpd/module.hpp"
#include "httpd/process/topics.hpp"

namespace websocket::httpd {

namespace {

// httpd's hooks have no other place for them.
Endpoints* endpoints = nullptr;
bool keeps_endpoints = false;

std::size_t size_of(const Config& config, Setting setting) noexcept {
    return static_cast<std::size_t>(config.get(setting));
}

std::uint32_t count_of(const Config& config, Setting setting) noexcept {
    return static_cast<std::uint32_t>(config.get(setting));
}

std::chrono::milliseconds time_of(const Config& config, Setting setting) noexcept {
    return std::chrono::milliseconds(config.get(setting));
}

protocol::DeflatePolicy make_deflate_policy(const Config& config) noexcept {
    const bool dedicated =
        static_cast<DeflateMode>(config.get(Setting::deflate_mode)) == DeflateMode::dedicated;
    const auto byte = [&config](Setting setting, std::uint8_t usual) {
        return config.has(setting) ? static_cast<std::uint8_t>(config.get(setting)) : usual;
    };
    // What a connection owns should be small; what all share should be fast.
    const std::uint8_t window = dedicated ? 12 : 15;
    protocol::DeflatePolicy policy;
    policy.enabled = config.get(Setting::deflate) != 0;
    policy.server_takeover = dedicated && config.get(Setting::deflate_server_takeover) != 0;
    policy.client_takeover = dedicated && config.get(Setting::deflate_client_takeover) != 0;
    policy.server_bits = byte(Setting::deflate_server_window_bits, window);
    policy.client_bits = byte(Setting::deflate_client_window_bits, window);
    policy.level = static_cast<std::uint8_t>(config.get(Setting::deflate_level));
    policy.memory_level = byte(Setting::deflate_memory_level, dedicated ? 5 : 8);
    policy.min_size = static_cast<std::uint16_t>(config.get(Setting::deflate_min_size));
    return policy;
}

std::vector<std::string> trusted_origins(const Config& config) {
    const apr_array_header_t* list = config.trusted_origins;
    if (list == nullptr) {
        return {};
    }
    const std::span<const char* const> all(reinterpret_cast<const char* const*>(list->elts),
                                           static_cast<std::size_t>(list->nelts));
    return {all.begin(), all.end()};
}

HandshakeOptions handshake_options(const Config& config) {
    HandshakeOptions options;
    options.origin_check = static_cast<OriginCheck>(config.get(Setting::origin_check));
    options.key_check = static_cast<KeyCheck>(config.get(Setting::key_check));
    options.trusted_origins = trusted_origins(config);
    options.address_cap = {config.address_cap, config.get(Setting::max_connections_per_address)};
    options.location_cap = {config.location_cap, config.get(Setting::max_connections_per_location)};
    options.max_request_size = size_of(config, Setting::max_request_size);
    options.max_request_body = size_of(config, Setting::max_request_body);
    options.deflate = make_deflate_policy(config);
    return options;
}

engine::RateLimits make_rates(const Config& config) noexcept {
    const auto rate = [&config](Setting setting) {
        return static_cast<std::uint64_t>(config.get(setting));
    };
    engine::RateLimits rates;
    rates.messages = rate(Setting::max_message_rate);
    rates.bytes = rate(Setting::max_byte_rate);
    rates.control_frames = rate(Setting::max_control_rate);
    rates.burst = std::chrono::milliseconds(config.get(Setting::rate_burst));
    rates.policy = static_cast<engine::RatePolicy>(config.get(Setting::rate_policy));
    return rates;
}

engine::ConnectionOptions connection_options(const Config& config) {
    engine::ConnectionOptions options;
    options.reader.max_message_size = size_of(config, Setting::max_message_size);
    options.reader.max_fragments = count_of(config, Setting::max_fragments);
    options.reader.max_empty_fragments = count_of(config, Setting::max_empty_fragments);
    options.reader.allow_reserved_close_codes =
        config.get(Setting::allow_reserved_status_codes) != 0;
    options.reader.max_inflate_ratio = count_of(config, Setting::deflate_max_ratio);
    options.rates = make_rates(config);
    options.send_buffer = size_of(config, Setting::send_buffer);
    options.closes_slow = static_cast<plugin::SlowConsumer>(config.get(Setting::slow_consumer)) ==
                          plugin::SlowConsumer::close;
    options.ping_interval = time_of(config, Setting::ping_interval);
    options.pong_timeout = time_of(config, Setting::pong_timeout);
    options.close_timeout = time_of(config, Setting::close_timeout);
    return options;
}

hub::TopicOptions topic_options(const Config& config, const server_rec* server) {
    hub::TopicOptions options;
    options.scope = topic_scope(server);
    options.max_topics = size_of(config, Setting::max_topics_per_location);
    options.max_subscriptions = count_of(config, Setting::max_subscriptions);
    return options;
}

plugin::SessionOptions session_options(const Config& config) {
    plugin::SessionOptions options;
    options.slow_consumer = static_cast<plugin::SlowConsumer>(config.get(Setting::slow_consumer));
    options.send_timeout = time_of(config, Setting::send_timeout);
    options.receive_buffer = size_of(config, Setting::receive_buffer);
    return options;
}

/// The file that the function is in, as the loader calls it; empty when it is in none.
template <class Function>
std::string file_of(Function* function) {
    Dl_info file{};
    const bool found = ::dladdr(reinterpret_cast<const void*>(function), &file) != 0;
    return found && file.dli_fname != nullptr ? file.dli_fname : "";
}

/// Sections of different hosts may have the same name.
std::string location_of(const Config& config, const server_rec* server) {
    std::string location;
    if (server->is_virtual != 0 && server->server_hostname != nullptr) {
        location = server->server_hostname;
        location += server->port != 0 ? ':' + std::to_string(server->port) : "";
    }
    return location + config.plugin_section;
}

/// The plugin side's view of a section.
plugin::Endpoint plugin_endpoint(const Config& config, const server_rec* server) {
    plugin::Endpoint endpoint;
    endpoint.connection = connection_options(config);
    if (config.plugin == nullptr) {
        return endpoint;  // for tunnels
    }
    endpoint.callbacks = &config.plugin->callbacks();
    endpoint.v1 = config.plugin->v1();
    endpoint.place = config.plugin_place;
    endpoint.session = session_options(config);
    if (endpoint.v1 == nullptr) {
        endpoint.connection.owner = file_of(endpoint.callbacks->on_message);
        endpoint.session.dispatch = static_cast<plugin::Dispatch>(config.get(Setting::dispatch));
        return endpoint;
    }
    endpoint.connection.owner = file_of(endpoint.v1->on_message);
    endpoint.connection.parts = (endpoint.v1->flags & WS_WANTS_FRAGMENTS) != 0;
    endpoint.topics = topic_options(config, server);
    endpoint.plugin_options = plugin::OptionList(options_of(config));
    endpoint.location = location_of(config, server);
    return endpoint;
}

Endpoints::Settings settings_of(const Config& config, const server_rec* server) {
    return {handshake_options(config), plugin_endpoint(config, server)};
}

/// A section of the main server applies in all virtual hosts, one of a virtual host only there.
bool applies(const PluginSection& section, const server_rec* server) {
    return section.server == server || section.server->is_virtual == 0;
}

template <class Visit>
void for_each_endpoint(apr_pool_t* pconf, const server_rec* first, Visit visit) {
    for (const PluginSection& section : plugin_sections(pconf)) {
        for (const server_rec* server = first; server != nullptr; server = server->next) {
            if (applies(section, server)) {
                visit(section, server);
            }
        }
    }
}

/// The parent, which reads the configuration again. A child has kept them.
apr_status_t forget_endpoints(void* /*data*/) {
    if (!keeps_endpoints) {
        delete std::exchange(endpoints, nullptr);
    }
    return APR_SUCCESS;
}

}  // namespace

int prepare_endpoints(apr_pool_t* pconf, apr_pool_t* /*plog*/, apr_pool_t* ptemp,
                      server_rec* server) {
    try {
        std::size_t expected = 0;
        for_each_endpoint(pconf, server, [&](const auto&, const auto*) { ++expected; });
        endpoints = new Endpoints(expected);
        apr_pool_cleanup_register(pconf, nullptr, forget_endpoints, apr_pool_cleanup_null);
        for_each_endpoint(pconf, server, [&](const PluginSection& section, const server_rec* host) {
            const Config& config = merged_config(ptemp, section, host);
            endpoints->add(host, config.sections, settings_of(config, host));
        });
    } catch (const std::exception&) {
        // Children make what is missing when it is wanted.
    }
    return OK;
}

void keep_endpoints() {
    if (endpoints == nullptr) {
        endpoints = new Endpoints(0);
    }
    keeps_endpoints = true;
}

const Endpoint& endpoint_of(const request_rec* r) {
    const Config& config = config_of(r);
    const Endpoint* known = endpoints->find(r->server, config.sections);
    return known != nullptr
               ? *known
               : endpoints->add(r->server, config.sections, settings_of(config, r->server));
}

}  // namespace websocket::httpd
