// SPDX-License-Identifier: Apache-2.0
//
// Plugins in C++20: a class and one line. Header-only; nothing but C crosses the shared object's
// boundary, so plugin and server may be built by different compilers.
//
//     #include <websocket/plugin.hpp>
//
//     struct Echo {
//         static constexpr bool never_blocks = true;
//         void on_message(websocket::Connection client, websocket::Message message) {
//             client.send(message);
//         }
//     };
//     WEBSOCKET_PLUGIN(echo_init, Echo)
//
// An object of the class is made once in each child process for each location. It may have:
//
//     Echo(), Echo(const Server&) or Echo(const Server&, const Options&)
//     static void check(const Options&)           throws OptionError: stops httpd -t
//     static constexpr bool never_blocks = true   callbacks on the event loop; else in the pool
//     static constexpr bool keep_request = true   a Request may be kept until on_close
//     static constexpr const char* name, *version for log lines; name is the class's otherwise
//     struct Client                               an object for each client, made by Client(); then
//                                                 callbacks get a Client& as their last argument
//     void on_upgrade(Upgrade&)                   accept, or refuse; may throw Refusal
//     void on_open(Connection)
//     void on_message(Connection, Message)        or on_fragment(Connection, Fragment)
//     void on_pong(Connection, Bytes)
//     void on_writable(Connection)
//     void on_close(Connection, const Close&)
//     void on_drain(std::chrono::milliseconds)    beside all other callbacks
//     HttpResponse on_http(const HttpRequest&)    the same: requests that are no handshakes
//
// All of them are public. What is none of these but looks like it, the compiler tells.
//
// websocket/plugin.h says what runs on which thread. Callbacks of different clients run at the same
// time, so what the object itself holds needs a lock, or an atomic. An exception that leaves a
// callback is logged and closes its connection with 1011.
#pragma once

#if !defined(__cpp_concepts) || __cpp_concepts < 201907L
#error "websocket/plugin.hpp needs C++20: compile with -std=c++20 or later"
#else

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <type_traits>

#include "callbacks.hpp"

namespace websocket::detail {

/// What start() makes.
template <class P>
class Instance {
public:
    Instance(const ws_host* host, const Options& options)
        : server_(host), plugin_(make(server_, options)) {}

    [[nodiscard]] const Server& server() const noexcept { return server_; }
    [[nodiscard]] P& plugin() noexcept { return *plugin_; }

private:
    static std::unique_ptr<P> make(const Server& server, const Options& options) {
        if constexpr (std::is_constructible_v<P, const Server&, const Options&>) {
            return std::make_unique<P>(server, options);
        } else if constexpr (std::is_constructible_v<P, const Server&>) {
            return std::make_unique<P>(server);
        } else {
            return std::make_unique<P>();
        }
    }

    const Server server_;
    const std::unique_ptr<P> plugin_;
};

/// The callbacks of websocket/plugin.h for the class P.
template <class P>
class Adapter {
public:
    static WebSocketPlugin* describe(const char* name) noexcept {
        static ws_plugin plugin = make(name);
        return &plugin.base;
    }

private:
    using Client = typename ClientOf<P>::type;
    static constexpr bool kHasClient = HasClient<P>;

    static_assert(sizeof(Checked<P>) != 0);  // says what is wrong with the class

    static constexpr bool kChecks = checks<P>;
    static constexpr bool kUpgrade = calls_on_upgrade<P>;
    static constexpr bool kOpen = calls_on_open<P>;
    static constexpr bool kMessage = calls_on_message<P>;
    static constexpr bool kFragment = calls_on_fragment<P>;
    static constexpr bool kPong = calls_on_pong<P>;
    static constexpr bool kWritable = calls_on_writable<P>;
    static constexpr bool kClose = calls_on_close<P>;
    static constexpr bool kDrain = calls_on_drain<P>;
    static constexpr bool kHttp = calls_on_http<P>;

    static constexpr std::uint32_t flags() {
        std::uint32_t result = WS_POOL;
        if constexpr (requires { P::never_blocks; }) {
            result = P::never_blocks ? WS_NEVER_BLOCKS : WS_POOL;
        }
        if constexpr (requires { P::keep_request; }) {
            result |= P::keep_request ? WS_KEEP_REQUEST : 0;
        }
        return result | (kFragment ? WS_WANTS_FRAGMENTS : 0);
    }

    static ws_plugin make(const char* name) noexcept {
        ws_plugin plugin{};
        plugin.base.size = sizeof plugin;
        plugin.base.version = WEBSOCKET_PLUGIN_VERSION_1;
        plugin.flags = flags();
        plugin.minor = WS_ABI_MINOR;
        plugin.name = name;
        plugin.plugin_version = "";
        if constexpr (requires { P::name; }) plugin.name = P::name;
        if constexpr (requires { P::version; }) plugin.plugin_version = P::version;
        if constexpr (kChecks) plugin.check = check;
        plugin.start = start;
        plugin.stop = stop;
        if constexpr (kUpgrade || kHasClient) plugin.on_upgrade = on_upgrade;
        if constexpr (kOpen) plugin.on_open = on_open;
        if constexpr (kMessage) plugin.on_message = on_message;
        if constexpr (kFragment) plugin.on_fragment = on_fragment;
        if constexpr (kPong) plugin.on_pong = on_pong;
        if constexpr (kWritable) plugin.on_writable = on_writable;
        if constexpr (kClose || kHasClient) plugin.on_close = on_close;
        if constexpr (kDrain) plugin.on_drain = on_drain;
        if constexpr (kHttp) plugin.on_http = on_http;
        return plugin;
    }

    static Instance<P>& instance(void* self) noexcept { return *static_cast<Instance<P>*>(self); }

    /// Calls `callback(plugin, connection)`; what it throws ends the connection.
    template <class Callback>
    static void guarded(void* self, ws_conn conn, const char* where, Callback callback) noexcept {
        Instance<P>& in = instance(self);
        try {
            callback(in.plugin(), Connection(in.server(), conn));
        } catch (...) {
            in.server().report_exception(where, conn);
        }
    }

    static std::int32_t check(const ws_option* options, std::uint64_t n, char* error,
                              std::uint64_t error_size) noexcept {
        try {
            if constexpr (kChecks) P::check(Options(options, n));
            return 0;
        } catch (const std::exception& wrong) {
            std::snprintf(error, static_cast<std::size_t>(error_size), "%s", wrong.what());
        } catch (...) {
            std::snprintf(error, static_cast<std::size_t>(error_size), "unknown exception");
        }
        return 1;
    }

    static ws_result start(const ws_host* host, const ws_option* options, std::uint64_t n,
                           void** self) noexcept {
        try {
            *self = new Instance<P>(host, Options(options, n));
            return WS_OK;
        } catch (const std::bad_alloc&) {
            return WS_NO_MEMORY;
        } catch (...) {
            Server(host).report_exception("the constructor", 0);
            return WS_BAD_ARG;
        }
    }
    static void stop(void* self) noexcept { delete &instance(self); }

    static std::uint32_t on_upgrade(void* self, ws_request* request, ws_conn conn,
                                    void** state) noexcept {
        Instance<P>& in = instance(self);
        try {
            Upgrade upgrade(in.server(), request, conn);
            if constexpr (kHasClient) {
                auto client = std::make_unique<Client>();
                if constexpr (requires(P & p) { p.on_upgrade(upgrade, *client); }) {
                    in.plugin().on_upgrade(upgrade, *client);
                } else if constexpr (kUpgrade) {
                    in.plugin().on_upgrade(upgrade);
                }
                if (upgrade.status() == 0) {
                    *state = client.release();
                }
            } else if constexpr (kUpgrade) {
                in.plugin().on_upgrade(upgrade);
            }
            return upgrade.status();
        } catch (const Refusal& refusal) {
            return refused(in.server(), request, conn, refusal);
        } catch (...) {
            in.server().report_exception("on_upgrade", 0);
            return 500;
        }
    }
    static std::uint32_t refused(const Server& server, ws_request* request, ws_conn conn,
                                 const Refusal& refusal) noexcept {
        try {
            const std::string sentence = refusal.what();
            server.info("refused with " + std::to_string(refusal.status()) + ": " + sentence);
            Upgrade(server, request, conn).refuse(refusal.status(), sentence + "\n");
        } catch (...) {
            server.warning("a refusal is sent without its text");
        }
        return refusal.status();
    }

    static void on_open(void* self, void* state, ws_conn conn) noexcept {
        guarded(self, conn, "on_open", [&](P& plugin, Connection connection) {
            if constexpr (requires(Client & c) { plugin.on_open(connection, c); }) {
                plugin.on_open(connection, *static_cast<Client*>(state));
            } else {
                plugin.on_open(connection);
            }
        });
    }
    static void on_message(void* self, void* state, ws_conn conn, std::uint32_t type,
                           std::uint8_t* bytes, std::uint64_t n) noexcept {
        const Message message{Type{type}, {bytes, static_cast<std::size_t>(n)}};
        guarded(self, conn, "on_message", [&](P& plugin, Connection connection) {
            if constexpr (requires(Client & c) { plugin.on_message(connection, message, c); }) {
                plugin.on_message(connection, message, *static_cast<Client*>(state));
            } else {
                plugin.on_message(connection, message);
            }
        });
    }
    static void on_fragment(void* self, void* state, ws_conn conn, std::uint32_t type,
                            std::uint32_t part, std::uint8_t* bytes, std::uint64_t n) noexcept {
        const Fragment fragment{Type{type},
                                (part & WS_FIRST) != 0,
                                (part & WS_LAST) != 0,
                                {bytes, static_cast<std::size_t>(n)}};
        guarded(self, conn, "on_fragment", [&](P& plugin, Connection connection) {
            if constexpr (requires(Client & c) { plugin.on_fragment(connection, fragment, c); }) {
                plugin.on_fragment(connection, fragment, *static_cast<Client*>(state));
            } else {
                plugin.on_fragment(connection, fragment);
            }
        });
    }
    static void on_pong(void* self, void* state, ws_conn conn, const std::uint8_t* bytes,
                        std::uint64_t n) noexcept {
        const Bytes payload(bytes, static_cast<std::size_t>(n));
        guarded(self, conn, "on_pong", [&](P& plugin, Connection connection) {
            if constexpr (requires(Client & c) { plugin.on_pong(connection, payload, c); }) {
                plugin.on_pong(connection, payload, *static_cast<Client*>(state));
            } else {
                plugin.on_pong(connection, payload);
            }
        });
    }
    static void on_writable(void* self, void* state, ws_conn conn) noexcept {
        guarded(self, conn, "on_writable", [&](P& plugin, Connection connection) {
            if constexpr (requires(Client & c) { plugin.on_writable(connection, c); }) {
                plugin.on_writable(connection, *static_cast<Client*>(state));
            } else {
                plugin.on_writable(connection);
            }
        });
    }
    static void on_close(void* self, void* state, ws_conn conn,
                         const ws_close_info* info) noexcept {
        const Close close{static_cast<std::uint16_t>(info->code),
                          {info->reason, static_cast<std::size_t>(info->reason_size)},
                          info->who == WS_BY_PEER,
                          info->clean != 0};
        guarded(self, conn, "on_close", [&](P& plugin, Connection connection) {
            if constexpr (requires(Client & c) { plugin.on_close(connection, close, c); }) {
                plugin.on_close(connection, close, *static_cast<Client*>(state));
            } else if constexpr (kClose) {
                plugin.on_close(connection, close);
            }
        });
        if constexpr (kHasClient) {
            delete static_cast<Client*>(state);
        }
    }
    static void on_drain(void* self, std::uint64_t deadline_ms) noexcept {
        guarded(self, 0, "on_drain", [&](P& plugin, Connection /*none*/) {
            plugin.on_drain(std::chrono::milliseconds(deadline_ms));
        });
    }
    static std::uint32_t on_http(void* self, ws_request* request) noexcept {
        Instance<P>& in = instance(self);
        try {
            const HttpResponse response = in.plugin().on_http(HttpRequest(in.server(), request));
            return respond(in.server(), request, response);
        } catch (const Refusal& refusal) {
            return refused(in.server(), request, 0, refusal);
        } catch (...) {
            in.server().report_exception("on_http", 0);
            return 500;
        }
    }
};

}  // namespace websocket::detail

/// Exports `init`, the name for the WebSocketHandler line, for the class `Plugin`.
#define WEBSOCKET_PLUGIN(init, Plugin)                                                             \
    extern "C" EXPORT WebSocketPlugin* CALLBACK init(void);                                        \
    extern "C" EXPORT WebSocketPlugin* CALLBACK init(void) {                                       \
        return ::websocket::detail::Adapter<Plugin>::describe(#Plugin);                            \
    }

#endif  // C++20
