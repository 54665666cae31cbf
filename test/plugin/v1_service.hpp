// SPDX-License-Identifier: Apache-2.0
// Connections of a plugin of ABI version 1, without httpd.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "hub/hub.hpp"
#include "hub/recording_bus.hpp"
#include "plugin/common/metrics.hpp"
#include "plugin/recording_plugin.hpp"
#include "plugin/v1/v1_instance.hpp"
#include "plugin/v1/v1_session.hpp"

namespace websocket::test {

/// One process with one location.
class V1Service {
public:
    enum class Start { now, later };

    explicit V1Service(WebSocketPlugin* plugin, Start when = Start::now)
        : pool_(std::in_place, plugin::PoolOptions{}, service.log), host_{service.engine(), *pool_,
                                                                          service.log} {
        host_.metrics = &metrics_;
        host_.topics = &hub_;
        endpoint_.callbacks = plugin;
        endpoint_.v1 = reinterpret_cast<ws_plugin*>(plugin);
        endpoint_.connection = service.options;
        instance_.emplace(host_, endpoint_);
        engine::Refusal why{};
        ck_assert(service.engine().begin(why));
        if (when == Start::now) ck_assert(start());
    }
    ~V1Service() {
        service.engine().begin_stop();
        await_quietly([this] { return service.engine().stopped(); }, "the loops' end");
        instance_->end();
        await_quietly([this] { return host_.sessions == 0; }, "the plugin's end");
        pool_.reset();
        service.stop();
    }
    V1Service(const V1Service&) = delete;
    V1Service& operator=(const V1Service&) = delete;

    Service service;
    RecordingBus bus;

    [[nodiscard]] const ws_host* abi() const { return instance_->abi(); }
    [[nodiscard]] std::uint32_t drain_holds() const { return host_.drain_holds; }
    /// As each client has it called.
    [[nodiscard]] bool start() { return instance_->start(); }
    /// Before the first client.
    [[nodiscard]] plugin::SessionOptions& session_options() { return endpoint_.session; }
    /// The location is no more, once nothing of it is left.
    void end_instance() { instance_->end(); }
    template <class Table>
    [[nodiscard]] const Table* extension(const char* name) const {
        return static_cast<const Table*>(abi()->extension(abi(), name));
    }

    /// A client that has been accepted; its number in `conn`. `buffer` is the size of its sockets' buffers
    /// in bytes, 0 for the system's.
    [[nodiscard]] Peer connect(ws_conn* conn = nullptr, int buffer = 0) {
        Engine::Place place = service.reserve();
        std::unique_ptr<plugin::V1Session> session =
            plugin::V1Session::make(*instance_, place.id());
        if (conn != nullptr) *conn = place.id().value();
        std::unique_ptr<plugin::Request> request = std::make_unique<FakeRequest>();
        ck_assert_uint_eq(session->upgrade(request), 0);
        SocketPair sockets = tcp_pair(buffer);
        service.engine().adopt(std::move(place), std::move(sockets.server), std::move(session),
                               endpoint_.connection, 13, {});
        return Peer(std::move(sockets.client));
    }

private:
    hub::Hub hub_{service.engine(), bus, service.log, {}};
    plugin::Metrics metrics_;
    std::optional<plugin::Pool> pool_;
    plugin::Host host_;
    plugin::Endpoint endpoint_;
    std::optional<plugin::V1Instance> instance_;
};

}  // namespace websocket::test
