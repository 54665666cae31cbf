// SPDX-License-Identifier: Apache-2.0
//
// SockJS (https://github.com/sockjs/sockjs-protocol) for any plugin: a line instead of WEBSOCKET_PLUGIN.
//
//     WEBSOCKET_SOCKJS_PLUGIN(chat_init, Chat)
//
// The administrator decides:
//
//     WebSocketOption sockjs on              else the plugin is what it is without this header
//     WebSocketOption sockjs-heartbeat 25    seconds between frames that say nothing, 1 to 3600
//     WebSocketOption sockjs-url URL         where the page /iframe.html gets sockjs-client from
//
// With "on", the section answers what SockJS asks for: a greeting, /info, /iframe*.html; and it has WebSockets at
// /SERVER/SESSION/websocket with frames of SockJS, at /websocket and at the section itself without. Other transports,
// which stand in for WebSockets, are not offered: 404.
//
// The plugin does not notice: on_message gets the texts in the frames, and what is sent, prepared, published and
// subscribed goes out in frames. SockJS has text only, so binary messages are Result::bad_argument for such
// connections, and published ones do not reach them. Messages that another plugin publishes to a topic of the
// same name do not reach them, either.
#pragma once

#include <chrono>
#include <cstdio>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugin.hpp"
#include "sockjs_pages.hpp"
#include "sockjs_sessions.hpp"

namespace websocket::sockjs {

struct Settings {
    bool on = false;
    std::chrono::seconds heartbeat{25};
    std::string client_url = "https://cdn.jsdelivr.net/npm/sockjs-client@1/dist/sockjs.min.js";

    /// Throws OptionError.
    [[nodiscard]] static Settings of(const Options& options) {
        Settings settings;
        const std::string_view on = options.text("sockjs", "off");
        if (on != "on" && on != "off") {
            throw OptionError("option sockjs: \"" + std::string(on) + "\" is neither on nor off");
        }
        settings.on = on == "on";
        settings.heartbeat =
            std::chrono::seconds(options.number<int>("sockjs-heartbeat", 25, 1, 3600));
        settings.client_url = options.text("sockjs-url", settings.client_url);
        if (settings.client_url.empty() ||
            settings.client_url.find_first_of("\"<>& \t\r\n") != std::string::npos) {
            throw OptionError("option sockjs-url: \"" + settings.client_url +
                              "\" is no address that can stand in a page as it is");
        }
        return settings;
    }
    [[nodiscard]] static bool is_own(std::string_view name) noexcept {
        return name == "sockjs" || name == "sockjs-heartbeat" || name == "sockjs-url";
    }
};

/// One instance of a plugin in one location.
class Layer {
public:
    /// `plugin` outlives it. Throws OptionError and std::bad_alloc.
    Layer(const ws_plugin& plugin, const ws_host* host, std::vector<ws_option> options,
          Settings settings)
        : plugin_(plugin), options_(std::move(options)), settings_(std::move(settings)),
          server_(host), pages_(settings_.client_url), framing_(host) {}
    Layer(const Layer&) = delete;
    Layer& operator=(const Layer&) = delete;

    static void check_options(const ws_plugin& plugin, const ws_option* options, std::uint64_t n) {
        static_cast<void>(Settings::of(Options(options, n)));
        std::string error(512, '\0');
        const std::vector<ws_option> others = without_own(options, n);
        if (plugin.check != nullptr &&
            plugin.check(others.data(), others.size(), error.data(), error.size()) != 0) {
            throw OptionError(error.c_str());
        }
    }
    [[nodiscard]] static std::vector<ws_option> without_own(const ws_option* options,
                                                            std::uint64_t n) {
        std::vector<ws_option> others;
        for (std::uint64_t i = 0; i < n; ++i) {
            const std::string_view name(options[i].name,
                                        static_cast<std::size_t>(options[i].name_size));
            if (!Settings::is_own(name)) others.push_back(options[i]);
        }
        return others;
    }

    [[nodiscard]] ws_result start() {
        const ws_host* host = settings_.on ? framing_.abi() : server_.host();
        return plugin_.start != nullptr
                   ? plugin_.start(host, options_.data(), options_.size(), &self_)
                   : WS_OK;
    }
    void stop() const {
        if (plugin_.stop != nullptr) plugin_.stop(self_);
    }
    [[nodiscard]] const websocket::Server& server() const noexcept { return server_; }

    [[nodiscard]] std::uint32_t upgrade(ws_request* request, ws_conn conn, void** state) {
        if (!settings_.on) return ask(request, conn, state);
        const Route route = route_of(Request(server_, request).below());
        if (route == Route::info || route == Route::iframe || route == Route::not_offered) {
            return 404;
        }
        auto session = std::make_shared<Session>(plugin_, self_, server_.host(), conn);
        auto holder = std::make_unique<std::shared_ptr<Session>>(session);
        session->framed = route == Route::websocket;
        if (session->framed) framing_.sessions().add(session);
        const std::uint32_t status = ask(request, conn, &session->state);
        if (status == 0) {
            *state = holder.release();
        } else if (session->framed) {
            framing_.sessions().remove(conn);
        }
        return status;
    }
    void open(void* state, ws_conn conn) {
        if (settings_.on && session_of(state).framed) {
            Session& session = session_of(state);
            const ws_host* host = server_.host();
            host->send(host, conn, WS_TEXT, "o", 1, 0);
            session.open = true;
            const auto period =
                static_cast<std::uint64_t>(std::chrono::milliseconds(settings_.heartbeat).count());
            std::uint64_t timer = 0;  // it ends with the connection
            if (framing_.timers() != nullptr) {
                framing_.timers()->start(host, conn, period, period, send_heartbeat, nullptr,
                                         &session, &timer);
            }
        }
        if (plugin_.on_open != nullptr) plugin_.on_open(self_, state_of(state), conn);
    }
    void message(void* state, ws_conn conn, std::uint32_t type, std::uint8_t* bytes,
                 std::uint64_t n) {
        if (settings_.on && session_of(state).framed) {
            session_of(state).take(type, view(bytes, n));
        } else {
            plugin_.on_message(self_, state_of(state), conn, type, bytes, n);
        }
    }
    void fragment(void* state, ws_conn conn, std::uint32_t type, std::uint32_t part,
                  std::uint8_t* bytes, std::uint64_t n) {
        if (!settings_.on || !session_of(state).framed) {
            plugin_.on_fragment(self_, state_of(state), conn, type, part, bytes, n);
            return;
        }
        Session& session = session_of(state);  // WebSocketMaxMessageSize limits the parts
        session.parts.append(view(bytes, n));
        if ((part & WS_LAST) != 0) {
            const std::string whole = std::exchange(session.parts, {});
            session.take(type, whole);
        }
    }
    void pong(void* state, ws_conn conn, const std::uint8_t* bytes, std::uint64_t n) {
        plugin_.on_pong(self_, state_of(state), conn, bytes, n);
    }
    void writable(void* state, ws_conn conn) { plugin_.on_writable(self_, state_of(state), conn); }
    void end(void* state, ws_conn conn, const ws_close_info* info) {
        if (plugin_.on_close != nullptr) plugin_.on_close(self_, state_of(state), conn, info);
        if (settings_.on) {
            framing_.sessions().remove(conn);
            delete static_cast<std::shared_ptr<Session>*>(state);
        }
    }
    void drain(std::uint64_t deadline_ms) { plugin_.on_drain(self_, deadline_ms); }
    [[nodiscard]] std::uint32_t answer(ws_request* request) {
        const HttpRequest asked(server_, request);
        const Route route = settings_.on ? route_of(asked.below()) : Route::other;
        if (route != Route::other) {
            return websocket::detail::respond(server_, request, pages_.answer(route, asked));
        }
        const std::uint32_t status =
            plugin_.on_http != nullptr ? plugin_.on_http(self_, request) : 0;
        return status == 0 && settings_.on ? 404 : status;
    }

private:
    [[nodiscard]] static std::string_view view(const std::uint8_t* bytes,
                                               std::uint64_t n) noexcept {
        return {reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(n)};
    }
    [[nodiscard]] static Session& session_of(void* state) noexcept {
        return **static_cast<std::shared_ptr<Session>*>(state);
    }
    [[nodiscard]] void* state_of(void* state) const noexcept {
        return settings_.on ? session_of(state).state : state;
    }
    [[nodiscard]] std::uint32_t ask(ws_request* request, ws_conn conn, void** state) const {
        return plugin_.on_upgrade != nullptr ? plugin_.on_upgrade(self_, request, conn, state) : 0;
    }
    static void send_heartbeat(void* data) {
        const auto& session = *static_cast<const Session*>(data);
        if (!session.closing) session.real->send(session.real, session.conn, WS_TEXT, "h", 1, 0);
    }

    const ws_plugin& plugin_;
    const std::vector<ws_option> options_;
    const Settings settings_;
    const websocket::Server server_;
    const Pages pages_;
    FramingHost framing_;
    void* self_ = nullptr;
};

/// The callbacks of websocket/plugin.h for the class P, with SockJS where the administrator wants it.
template <class P>
class Adapter {
public:
    static WebSocketPlugin* describe(const char* name) noexcept {
        static ws_plugin plugin = make(name);
        return &plugin.base;
    }

private:
    static inline const ws_plugin* inner = nullptr;

    static ws_plugin make(const char* name) noexcept {
        inner = reinterpret_cast<const ws_plugin*>(websocket::detail::Adapter<P>::describe(name));
        ws_plugin plugin = *inner;
        plugin.check = check;
        plugin.start = start;
        plugin.stop = stop;
        plugin.on_upgrade = [](void* self, ws_request* request, ws_conn conn, void** state) {
            return guarded(self, "on_upgrade",
                           [&](Layer& layer) { return layer.upgrade(request, conn, state); });
        };
        plugin.on_open = [](void* self, void* state, ws_conn conn) { of(self).open(state, conn); };
        if (inner->on_message != nullptr) {
            plugin.on_message = [](void* self, void* state, ws_conn conn, std::uint32_t type,
                                   std::uint8_t* bytes, std::uint64_t n) {
                closing_on_error(self, conn, "on_message",
                                 [&](Layer& layer) { layer.message(state, conn, type, bytes, n); });
            };
        }
        if (inner->on_fragment != nullptr) {
            plugin.on_fragment = [](void* self, void* state, ws_conn conn, std::uint32_t type,
                                    std::uint32_t part, std::uint8_t* bytes, std::uint64_t n) {
                closing_on_error(self, conn, "on_fragment", [&](Layer& layer) {
                    layer.fragment(state, conn, type, part, bytes, n);
                });
            };
        }
        if (inner->on_pong != nullptr) {
            plugin.on_pong = [](void* self, void* state, ws_conn conn, const std::uint8_t* bytes,
                                std::uint64_t n) { of(self).pong(state, conn, bytes, n); };
        }
        if (inner->on_writable != nullptr) {
            plugin.on_writable = [](void* self, void* state, ws_conn conn) {
                of(self).writable(state, conn);
            };
        }
        plugin.on_close = [](void* self, void* state, ws_conn conn, const ws_close_info* info) {
            of(self).end(state, conn, info);
        };
        if (inner->on_drain != nullptr) {
            plugin.on_drain = [](void* self, std::uint64_t deadline) { of(self).drain(deadline); };
        }
        plugin.on_http = [](void* self, ws_request* request) {
            return guarded(self, "on_http", [&](Layer& layer) { return layer.answer(request); });
        };
        return plugin;
    }

    static Layer& of(void* self) noexcept { return *static_cast<Layer*>(self); }

    template <class Work>
    static std::uint32_t guarded(void* self, const char* where, Work work) noexcept {
        try {
            return work(of(self));
        } catch (...) {
            of(self).server().report_exception(where, 0);
            return 500;
        }
    }
    template <class Work>
    static void closing_on_error(void* self, ws_conn conn, const char* where, Work work) noexcept {
        try {
            work(of(self));
        } catch (...) {
            of(self).server().report_exception(where, conn);
        }
    }

    static std::int32_t check(const ws_option* options, std::uint64_t n, char* error,
                              std::uint64_t error_size) noexcept {
        try {
            Layer::check_options(*inner, options, n);
            return 0;
        } catch (const std::exception& wrong) {
            std::snprintf(error, static_cast<std::size_t>(error_size), "%s", wrong.what());
            return 1;
        }
    }
    static ws_result start(const ws_host* host, const ws_option* options, std::uint64_t n,
                           void** self) noexcept {
        try {
            auto layer = std::make_unique<Layer>(*inner, host, Layer::without_own(options, n),
                                                 Settings::of(Options(options, n)));
            const ws_result result = layer->start();
            if (result == WS_OK) *self = layer.release();
            return result;
        } catch (const std::bad_alloc&) {
            return WS_NO_MEMORY;
        } catch (...) {
            websocket::Server(host).report_exception("start", 0);
            return WS_BAD_ARG;
        }
    }
    static void stop(void* self) noexcept {
        const std::unique_ptr<Layer> layer(&of(self));
        layer->stop();
    }
};

}  // namespace websocket::sockjs

/// As WEBSOCKET_PLUGIN, with the options above.
#define WEBSOCKET_SOCKJS_PLUGIN(init, Plugin)                                                      \
    extern "C" EXPORT WebSocketPlugin* CALLBACK init(void);                                        \
    extern "C" EXPORT WebSocketPlugin* CALLBACK init(void) {                                       \
        return ::websocket::sockjs::Adapter<Plugin>::describe(#Plugin);                            \
    }
