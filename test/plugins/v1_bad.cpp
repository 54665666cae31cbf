// SPDX-License-Identifier: Apache-2.0
// Plugins that break the contract, each in one way, for websocket-plugin-check.
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <websocket/ext/draft/event_stream.h>
#include <websocket/extensions.h>
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
void closes_oddly(void*, void*, ws_conn conn, std::uint32_t, std::uint8_t*, std::uint64_t) {
    host->close(host, conn, 1006, nullptr, 0);
}
void sends_no_utf8(void*, void*, ws_conn conn, std::uint32_t, std::uint8_t*, std::uint64_t) {
    host->send(host, conn, WS_TEXT, "\xFF", 1, 0);
}
void streams_oddly(void*, void*, ws_conn conn, std::uint32_t, std::uint8_t*, std::uint64_t) {
    const auto* stream = static_cast<const ws_stream_1*>(host->extension(host, WS_STREAM_1));
    stream->send(host, conn, WS_TEXT, WS_LAST, "x", 1);
}
ws_buffer* make_buffer() {
    const auto* buffers = static_cast<const ws_buffer_1*>(host->extension(host, WS_BUFFER_1));
    return buffers->make(host, WS_TEXT, "x", 1);
}
void keeps_buffers(void*, void*, ws_conn, std::uint32_t, std::uint8_t*, std::uint64_t) {
    static_cast<void>(make_buffer());
}
void releases_twice(void*, void*, ws_conn, std::uint32_t, std::uint8_t*, std::uint64_t) {
    const auto* buffers = static_cast<const ws_buffer_1*>(host->extension(host, WS_BUFFER_1));
    ws_buffer* buffer = make_buffer();
    buffers->release(buffer);
    buffers->release(buffer);
}
void crashes_at_the_end(void*, void*, ws_conn, const ws_close_info*) { std::abort(); }
void throws_at_the_end(void*, void*, ws_conn, const ws_close_info*) { throw 1; }
void throws_when_open(void*, void*, ws_conn) { throw 1; }
void drains_badly(void*, std::uint64_t) { std::abort(); }
void starts_timers_in_stop(void*) {
    const auto* timers = static_cast<const ws_timer_1*>(host->extension(host, WS_TIMER_1));
    std::uint64_t number = 0;
    timers->start(
        host, 0, 1000, 0, [](void*) {}, nullptr, nullptr, &number);
}
std::uint32_t remember_request(void*, ws_request* request, ws_conn, void** state) {
    *state = request;
    return 0;
}
void asks_too_late(void*, void* state, ws_conn, std::uint32_t, std::uint8_t*, std::uint64_t) {
    const auto* requests = static_cast<const ws_request_1*>(host->extension(host, WS_REQUEST_1));
    std::uint64_t size = 0;
    requests->text(static_cast<ws_request*>(state), WS_REQUEST_TARGET, &size);
}
ws_result does_not_start(const ws_host*, const ws_option*, std::uint64_t, void**) {
    return WS_NO_MEMORY;
}
std::uint32_t answers_oddly(void*, ws_request*) { return 100; }
std::uint32_t throws_at_a_request(void*, ws_request*) { throw 1; }
std::uint32_t answers_later(void*, ws_request* request) {
    static ws_request* last = nullptr;
    const auto* requests = static_cast<const ws_request_1*>(host->extension(host, WS_REQUEST_1));
    std::uint64_t size = 0;
    if (last != nullptr) requests->text(last, WS_REQUEST_BELOW, &size);
    last = request;
    return 204;
}
// Those that go wrong with event streams alone: the state of a client says whether it is one.
const ws_event_stream_draft_1& event_streams() {
    return *static_cast<const ws_event_stream_draft_1*>(
        host->extension(host, WS_EVENT_STREAM_DRAFT_1));
}
std::uint32_t accepts_streams(void*, ws_request* request) {
    return event_streams().accept(request, 1000) == WS_OK ? 200 : 405;
}
std::uint32_t notes_kind(void*, ws_request* request, ws_conn, void** state) {
    *state = event_streams().is_stream(request) != 0 ? request : nullptr;
    return 0;
}
void crashes_for_a_stream(void*, void* state, ws_conn) {
    if (state != nullptr) std::abort();
}
void throws_behind_a_stream(void*, void* state, ws_conn, const ws_close_info*) {
    if (state != nullptr) throw 1;
}
ws_conn last_stream = 0;
void remembers_a_stream(void*, void* state, ws_conn conn) {
    if (state != nullptr) last_stream = conn;
}
void insists(void*, void*, ws_conn, std::uint32_t, std::uint8_t* bytes, std::uint64_t n) {
    while (host->send(host, last_stream, WS_BINARY, bytes, n, 0) == WS_FULL) {
    }
}
void publishes_a_bad_type(void*, void*, ws_conn, std::uint32_t, std::uint8_t*, std::uint64_t) {
    event_streams().publish(host, "x", 1, WS_TEXT, "x", 1, 0, "a\nb", 3, nullptr, 0);
}
void sends_a_bad_id(void*, void* state, ws_conn conn) {
    if (state != nullptr) {
        event_streams().send(host, conn, WS_TEXT, "x", 1, nullptr, 0, "a\0b", 3);
    }
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
BAD(answers_oddly, quiet, plugin.on_http = answers_oddly)
BAD(answers_later, quiet, plugin.on_http = answers_later)
BAD(throws_at_a_request, quiet, plugin.on_http = throws_at_a_request)
BAD(no_flags, quiet, plugin.flags = 0)
BAD(no_name, quiet, plugin.name = nullptr)
BAD(small, quiet, plugin.base.size = 100)
BAD(closes_oddly, closes_oddly, )
BAD(sends_no_utf8, sends_no_utf8, )
BAD(streams_oddly, streams_oddly, )
BAD(keeps_buffers, keeps_buffers, )
BAD(releases_twice, releases_twice, )
BAD(crashes_at_the_end, quiet, plugin.on_close = crashes_at_the_end)
BAD(throws_at_the_end, quiet, plugin.on_close = throws_at_the_end)
BAD(throws_when_open, quiet, plugin.on_open = throws_when_open)
BAD(drains_badly, quiet, plugin.on_drain = drains_badly)
BAD(starts_timers_in_stop, quiet, plugin.stop = starts_timers_in_stop)
BAD(asks_too_late, asks_too_late, plugin.on_upgrade = remember_request)
BAD(does_not_start, quiet, plugin.start = does_not_start)

// clang-format off
#define BAD_STREAM(name, on_message, change)                                                       \
    BAD(name, on_message, plugin.on_http = accepts_streams; plugin.on_upgrade = notes_kind; change)
// clang-format on

BAD_STREAM(crashes_for_a_stream, quiet, plugin.on_open = crashes_for_a_stream)
BAD_STREAM(throws_behind_a_stream, quiet, plugin.on_close = throws_behind_a_stream)
BAD_STREAM(insists, insists, plugin.on_open = remembers_a_stream)
BAD_STREAM(publishes_a_bad_type, publishes_a_bad_type, )
BAD_STREAM(sends_a_bad_id, quiet, plugin.on_open = sends_a_bad_id)
