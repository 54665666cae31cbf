// SPDX-License-Identifier: Apache-2.0
// Plugins that break the contract, each in one way, for websocket-plugin-check.
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <websocket/plugin.h>

namespace {

const ws_host* host = nullptr;

ws_result start(const ws_host* server, const ws_option* /*options*/, std::uint64_t /*n*/,
                void** /*self*/) {
    host = server;
    return WS_OK;
}

using OnMessage = void (*)(void*, void*, ws_conn, std::uint32_t, std::uint8_t*, std::uint64_t);

void quiet(void*, void*, ws_conn, std::uint32_t, std::uint8_t*, std::uint64_t) {}
void writes_behind(void*, void*, ws_conn, std::uint32_t, std::uint8_t* bytes, std::uint64_t n) {
    bytes[n] = 0;
}
void throws(void*, void*, ws_conn, std::uint32_t, std::uint8_t*, std::uint64_t) { throw 1; }
void crashes(void*, void*, ws_conn, std::uint32_t, std::uint8_t*, std::uint64_t) { std::abort(); }
void hangs(void*, void*, ws_conn, std::uint32_t, std::uint8_t*, std::uint64_t) {
    for (;;) ::pause();
}
void sends_nonsense(void*, void*, ws_conn conn, std::uint32_t, std::uint8_t*, std::uint64_t) {
    host->send(host, conn, 99, "x", 1, 0);
}
std::int32_t long_winded(const ws_option*, std::uint64_t, char* error, std::uint64_t) {
    std::strcpy(error, "there is no such option, sorry");
    return 1;
}
std::uint32_t odd_status(void*, ws_request*, ws_conn, void**) { return 200; }

ws_plugin describe(OnMessage on_message) {
    ws_plugin plugin{};
    plugin.base.size = sizeof plugin;
    plugin.base.version = WEBSOCKET_PLUGIN_VERSION_1;
    plugin.flags = WS_POOL;
    plugin.name = "bad";
    plugin.start = start;
    plugin.on_message = on_message;
    return plugin;
}

}  // namespace

#define BAD(name, on_message, change)                                                              \
    extern "C" EXPORT WebSocketPlugin* name##_init();                                              \
    extern "C" EXPORT WebSocketPlugin* name##_init() {                                             \
        static ws_plugin plugin = describe(on_message);                                            \
        change;                                                                                    \
        return &plugin.base;                                                                       \
    }

BAD(writes_behind, writes_behind, )
BAD(throws, throws, )
BAD(crashes, crashes, )
BAD(hangs, hangs, )
BAD(sends_nonsense, sends_nonsense, )
BAD(long_winded, quiet, plugin.check = long_winded)
BAD(odd_status, quiet, plugin.on_upgrade = odd_status)
BAD(no_flags, quiet, plugin.flags = 0)
