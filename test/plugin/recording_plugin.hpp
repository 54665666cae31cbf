// SPDX-License-Identifier: Apache-2.0
// A plugin of ABI version 0 whose callbacks are a test's functions, and sessions for it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/service.hpp"
#include "plugin/common/endpoint.hpp"
#include "plugin/common/pool.hpp"
#include "plugin/v0/v0_session.hpp"

namespace websocket::test {

using plugin::Dispatch;
using plugin::V0Session;

/// What httpd would know of the handshake.
class FakeRequest final : public plugin::Request {
public:
    explicit FakeRequest(std::function<void()> on_end = {}) : on_end_(std::move(on_end)) {}
    ~FakeRequest() override {
        if (on_end_) on_end_();
    }

    const char* header(const char* name) const noexcept override {
        return std::string(name) == "Origin" ? "https://example.org" : nullptr;
    }
    bool set_response_header(std::string_view name, std::string_view value) override {
        response_headers[std::string(name)] = value;
        return true;
    }
    bool choose_subprotocol(std::string_view name) override {
        return set_response_header("Sec-WebSocket-Protocol", name);
    }
    std::size_t subprotocol_count() const noexcept override { return 2; }
    const char* subprotocol(std::size_t index) const noexcept override {
        return index == 0 ? "chat" : index == 1 ? "superchat" : nullptr;
    }
    bool offers_subprotocol(std::string_view name) const noexcept override {
        return name == "chat" || name == "superchat";
    }
    request_rec* native() override { return reinterpret_cast<request_rec*>(this); }

    std::map<std::string, std::string> response_headers;

private:
    const std::function<void()> on_end_;
};

/// What happened to one client of the plugin.
struct PluginStory {
    std::vector<std::string> messages;
    int disconnects = 0;
    bool broken_promise = false;
};
using PluginRecord = Awaited<PluginStory>;

/// Sends with the function that the server offers, as a plugin does.
inline std::size_t plugin_send(const WebSocketServer* server, std::string_view text,
                               int type = MESSAGE_TYPE_TEXT) {
    return server->send(server, type, reinterpret_cast<const unsigned char*>(text.data()),
                        text.size());
}

/// For PluginService::on_message.
inline void send_back(const WebSocketServer* server, const std::string& message) {
    static_cast<void>(plugin_send(server, message));
}

/// Which threads run the callbacks.
struct Way {
    Dispatch dispatch = Dispatch::pool;
    bool brief = false;  ///< callbacks have been quick so far

    Way(Dispatch how = Dispatch::pool, bool quick = false) : dispatch(how), brief(quick) {}
};
inline const Way kBriefPool{Dispatch::pool, true};
/// For loop tests, all that there are.
inline const Way kWays[] = {Dispatch::pool, kBriefPool, Dispatch::inline_};
inline constexpr int kWayCount = 3;
inline constexpr int kPoolWays = 2;  ///< the first of them

/// One process: an engine, a pool, a location with a plugin. Callbacks are set before the first
/// client comes.
class PluginService {
public:
    using OnMessage = std::function<void(const WebSocketServer*, std::string)>;
    using OnServer = std::function<void(const WebSocketServer*)>;

    explicit PluginService(Way way = {}, plugin::PoolOptions pool = {})
        : pool_(std::in_place, pool, service.log), host_{service.engine(), *pool_, service.log} {
        plugin_.size = sizeof plugin_;
        plugin_.on_connect = [](const WebSocketServer* server) { return connect(server); };
        plugin_.on_message = [](void* self, const WebSocketServer* server, int type,
                                unsigned char* buffer,
                                size_t size) { return message(self, server, type, buffer, size); };
        plugin_.on_disconnect = [](void* self, const WebSocketServer* server) {
            disconnect(self, server);
        };
        endpoint_.callbacks = &plugin_;
        endpoint_.session.dispatch = way.dispatch;
        if (way.brief) make_brief();
        endpoint_.connection = service.options;
        current_ = this;
    }
    ~PluginService() { stop(); }
    PluginService(const PluginService&) = delete;
    PluginService& operator=(const PluginService&) = delete;

    Service service;
    OnServer on_connect = {};  ///< before the plugin accepts
    bool accepts = true;
    OnMessage on_message = {};
    OnServer on_disconnect = {};

    /// As many callbacks have taken no time.
    void make_brief() {
        while (!pace().brief()) pace().note(0ns, 1, 0);
    }
    [[nodiscard]] plugin::Pace& pace() { return pool_->lane(endpoint_.place).pace(); }

    [[nodiscard]] WebSocketPlugin& plugin() { return plugin_; }
    [[nodiscard]] engine::ConnectionOptions& options() { return endpoint_.connection; }
    [[nodiscard]] plugin::SessionOptions& session_options() { return endpoint_.session; }
    [[nodiscard]] plugin::Endpoint& endpoint() { return endpoint_; }
    [[nodiscard]] std::uint32_t sessions() const { return host_.sessions; }
    [[nodiscard]] PluginRecord& record() { return record_; }

    /// A session before its handshake. `on_request_end` is called when the request goes.
    struct Candidate {
        std::optional<Engine::Place> place;
        std::unique_ptr<V0Session> session;
        FakeRequest* request;  ///< the session's
        std::shared_ptr<Script> script = std::make_shared<Script>();
    };
    [[nodiscard]] Candidate candidate(std::function<void()> on_request_end = {}) {
        std::optional<Engine::Place> place = service.reserve();
        auto request = std::make_unique<FakeRequest>(std::move(on_request_end));
        FakeRequest* raw = request.get();
        auto session =
            std::make_unique<V0Session>(host_, endpoint_, place->id(), std::move(request));
        return {std::move(place), std::move(session), raw};
    }
    /// Hands an accepted candidate to the engine, as after the 101.
    [[nodiscard]] Peer open(Candidate candidate, int socket_buffer = 0) {
        SocketPair sockets = tcp_pair(socket_buffer);
        service.engine().adopt(
            std::move(*candidate.place),
            std::make_unique<ScriptedTransport>(std::move(sockets.server), candidate.script),
            std::move(candidate.session), endpoint_.connection, 13, {});
        return Peer(std::move(sockets.client));
    }
    [[nodiscard]] Peer connect(int socket_buffer = 0) {
        Candidate one = candidate();
        ck_assert(one.session->connect() == V0Session::Connected::accepted);
        return open(std::move(one), socket_buffer);
    }

    std::vector<std::string> await_messages(std::size_t count) {
        return record_
            .await([=](const PluginStory& story) { return story.messages.size() >= count; },
                   "messages")
            .messages;
    }
    void await_disconnects(int count) {
        record_.await([=](const PluginStory& story) { return story.disconnects >= count; },
                      "on_disconnect");
    }
    /// Everything ends, and what was promised to plugins was kept.
    void stop() {
        if (!pool_) {
            return;
        }
        service.engine().begin_stop();
        await_quietly([this] { return service.engine().stopped() && sessions() == 0; },
                      "the last client's end");
        pool_.reset();  // first: its threads may be on their way out of a send
        service.stop();
        ck_assert(!record_.get().broken_promise);
    }

private:
    /// The plugin's own data of a client.
    struct Private {
        const WebSocketServer* server;
        std::atomic<int> inside{0};
        std::atomic<bool> over{false};
    };

    static void* connect(const WebSocketServer* server) {
        PluginService& self = *current_;
        if (self.on_connect) self.on_connect(server);
        return self.accepts ? self.remember(server) : nullptr;
    }
    static std::size_t message(void* data, const WebSocketServer* server, int /*type*/,
                               unsigned char* buffer, std::size_t size) {
        Private& client = *static_cast<Private*>(data);
        PluginService& self = *current_;
        self.expect(client.server == server && !client.over && client.inside.fetch_add(1) == 0 &&
                    buffer != nullptr);
        std::string payload(reinterpret_cast<char*>(buffer), size);
        self.record_.update([&](PluginStory& story) { story.messages.push_back(payload); });
        const Leave leave{client.inside};
        if (self.on_message) self.on_message(server, std::move(payload));
        return size;
    }
    static void disconnect(void* data, const WebSocketServer* server) {
        Private& client = *static_cast<Private*>(data);
        PluginService& self = *current_;
        self.expect(client.server == server && client.inside == 0 && !client.over.exchange(true));
        if (self.on_disconnect) self.on_disconnect(server);
        self.record_.update([](PluginStory& story) { ++story.disconnects; });
    }
    struct Leave {
        std::atomic<int>& inside;
        ~Leave() { --inside; }
    };

    void expect(bool promise) {
        record_.update([=](PluginStory& story) { story.broken_promise |= !promise; });
    }
    /// Kept until the end, so that a call for a client that is gone is seen.
    Private* remember(const WebSocketServer* server) {
        auto client = std::make_unique<Private>();
        client->server = server;
        Private* raw = client.get();
        clients_.update([&](auto& clients) { clients.push_back(std::move(client)); });
        return raw;
    }

    static inline PluginService* current_ = nullptr;  // the ABI has no place for it

    PluginRecord record_;
    Awaited<std::vector<std::unique_ptr<Private>>> clients_;
    WebSocketPlugin plugin_{};
    plugin::Endpoint endpoint_;
    std::optional<plugin::Pool> pool_;
    plugin::Host host_;
};

}  // namespace websocket::test
