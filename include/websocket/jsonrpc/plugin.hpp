// SPDX-License-Identifier: Apache-2.0
// A service as a plugin. Part of websocket/jsonrpc.hpp.
#pragma once

#include <algorithm>
#include <concepts>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "../plugin.hpp"
#include "server.hpp"

namespace websocket::jsonrpc {

namespace detail {

template <class S>
constexpr bool never_blocks_of() {
    if constexpr (requires { S::never_blocks; }) {
        return S::never_blocks;
    } else {
        return false;
    }
}

}  // namespace detail

/// The class behind WEBSOCKET_JSONRPC_PLUGIN. It never blocks: messages are read on the event loops, so that a
/// ping is answered while a method is slow; methods run where Settings::threads says.
template <class Service>
class Plugin {
public:
    static constexpr bool never_blocks = true;
    static constexpr const char* name = Service::name;

    struct Client {
        Peer peer;
    };

    static void check(const Options& options) {
        std::vector<std::string_view> known(Settings::kNames.begin(), Settings::kNames.end());
        if constexpr (requires { Service::options; }) {
            known.insert(known.end(), std::begin(Service::options), std::end(Service::options));
        }
        options.allow_only(known);
        static_cast<void>(Settings(options, name));
        if constexpr (requires { Service::check(options); }) Service::check(options);
    }
    Plugin(const websocket::Server& host, const Options& options)
        : server_(host, options, name, detail::never_blocks_of<Service>()),
          service_(make(server_, options)) {
        server_.start();
    }
    ~Plugin() { server_.stop(); }
    Plugin(const Plugin&) = delete;
    Plugin& operator=(const Plugin&) = delete;

    void on_upgrade(Upgrade& upgrade, Client& client) {
        client.peer.user = upgrade.user_text();
        if constexpr (requires { service_->on_upgrade(upgrade); }) service_->on_upgrade(upgrade);
    }
    void on_open(Connection connection, Client& client) { server_.opened(connection, client.peer); }
    void on_message(Connection connection, Message message, Client& client) {
        server_.message(connection, message, client.peer);
    }
    void on_writable(Connection connection, Client& client) {
        server_.writable(connection, client.peer);
    }
    void on_close(Connection connection, const Close& close, Client& client) {
        server_.closed(connection, close, client.peer);
    }
    void on_drain(std::chrono::milliseconds /*deadline*/) { server_.drain(); }

private:
    static std::unique_ptr<Service> make(Server& server, const Options& options) {
        if constexpr (std::is_constructible_v<Service, Server&, const Options&>) {
            return std::make_unique<Service>(server, options);
        } else {
            static_assert(std::is_constructible_v<Service, Server&>,
                          "websocket jsonrpc: the class needs a public constructor that takes "
                          "(jsonrpc::Server&) or (jsonrpc::Server&, const Options&)");
            return std::make_unique<Service>(server);
        }
    }

    Server server_;
    const std::unique_ptr<Service> service_;  // behind the server: it may use it to its end
};

}  // namespace websocket::jsonrpc

/// Exports `init`, the name for the WebSocketHandler line, for the service `Service`.
#define WEBSOCKET_JSONRPC_PLUGIN(init, Service)                                                    \
    WEBSOCKET_PLUGIN(init, ::websocket::jsonrpc::Plugin<Service>)
