// SPDX-License-Identifier: Apache-2.0
// Nothing may leave these functions but their result: the callers are C.
#include "plugin/v1/v1_host.hpp"

#include <algorithm>
#include <array>
#include <new>
#include <string>
#include <string_view>

#include "hub/hub.hpp"
#include "plugin/v1/v1_instance.hpp"
#include "plugin/v1/v1_send.hpp"
#include "protocol/close_code.hpp"
#include "protocol/utf8.hpp"
#include "websocket/ext/draft/event_stream.h"
#include "websocket/ext/draft/gap.h"
#include "websocket/ext/draft/history.h"
#include "websocket/ext/draft/presence.h"

namespace websocket::plugin {

using engine::ConnectionId;
using protocol::Opcode;

namespace {

ws_result send(const ws_host* host, ws_conn conn, uint32_t type, const void* bytes, uint64_t n,
               uint32_t flags) {
    Opcode opcode{};
    if (host == nullptr || (flags & ~WS_UNCOMPRESSED) != 0 || !is_valid(bytes, n) ||
        !opcode_of(type, opcode)) {
        return WS_BAD_ARG;
    }
    V1Instance& instance = V1Instance::of(host);
    if (opcode == Opcode::text &&
        !may_leave(instance.host(), instance.endpoint(), span_of(bytes, n))) {
        return WS_BAD_ARG;
    }
    const ConnectionId id = ConnectionId::from_value(conn);
    return send_result(instance, id, [&](engine::Engine& engine, std::size_t high_water) {
        return engine.send(id, opcode, span_of(bytes, n), high_water, compression_of(flags),
                           engine::Tell::session);
    });
}

ws_result close(const ws_host* host, ws_conn conn, uint32_t code, const char* reason, uint64_t n) {
    if (host == nullptr || !is_valid(reason, n) || code > UINT16_MAX ||
        (code == 0 ? n > 0 : protocol::is_prohibited(static_cast<std::uint16_t>(code)))) {
        return WS_BAD_ARG;
    }
    if (!protocol::is_utf8(span_of(reason, n))) {
        return WS_BAD_ARG;
    }
    const protocol::ClosePayload payload =
        code == 0
            ? protocol::ClosePayload()
            : protocol::ClosePayload(static_cast<std::uint16_t>(code), std::string_view(reason, n));
    const bool began =
        V1Instance::of(host).host().engine.close(ConnectionId::from_value(conn), payload);
    return began ? WS_OK : WS_GONE;
}

ws_result queued(const ws_host* host, ws_conn conn, uint64_t* bytes) {
    if (host == nullptr || bytes == nullptr) {
        return WS_BAD_ARG;
    }
    const auto count = V1Instance::of(host).host().engine.queued(ConnectionId::from_value(conn));
    *bytes = count.value_or(0);
    return count ? WS_OK : WS_GONE;
}

void log(const ws_host* host, uint32_t level, const char* text, uint64_t n) {
    if (host == nullptr || !is_valid(text, n)) {
        return;
    }
    constexpr std::size_t kMax = 1024;  // httpd cuts its lines, too
    const V1Instance& instance = V1Instance::of(host);
    try {
        std::string line = "WS0414: [";
        line += instance.plugin().name;
        line += "] ";
        for (const char c : std::string_view(text, std::min<std::size_t>(n, kMax))) {
            const auto code = static_cast<unsigned char>(c);
            line += code < 0x20 || code == 0x7F ? ' ' : c;
        }
        instance.host().log.write(
            static_cast<base::LogLevel>(std::min<std::uint32_t>(level, WS_LOG_DEBUG)), line);
    } catch (const std::bad_alloc&) {
        return;
    }
}

const void* extension(const ws_host* host, const char* name) {
    struct Known {
        std::string_view name;
        const void* (*table)() noexcept;
    };
    static constexpr std::array<Known, 16> kKnown{{
        {WS_TIMER_1, timer_extension},
        {WS_POST_1, post_extension},
        {WS_IO_1, io_extension},
        {WS_BUFFER_1, buffer_extension},
        {WS_REQUEST_1, request_extension},
        {WS_HTTP_1, http_extension},
        {WS_STREAM_1, stream_extension},
        {WS_FLOW_1, flow_extension},
        {WS_METRICS_1, metrics_extension},
        {WS_TOPIC_1, topic_extension},
        {WS_LEADER_1, leader_extension},
        {WS_DRAIN_1, drain_extension},
        {WS_EVENT_STREAM_DRAFT_1, event_stream_extension},
        {WS_HISTORY_DRAFT_1, history_extension},
        {WS_PRESENCE_DRAFT_1, presence_extension},
        {WS_GAP_DRAFT_1, gap_extension},
    }};
    if (host == nullptr || name == nullptr) {
        return nullptr;
    }
    const Host& server = V1Instance::of(host).host();
    const std::string_view wanted = name;
    const bool keeps = server.topics != nullptr && server.topics->has_history();
    if (((wanted == WS_TOPIC_1 || wanted == WS_GAP_DRAFT_1) && server.topics == nullptr) ||
        (wanted == WS_HISTORY_DRAFT_1 && !keeps) ||
        (wanted == WS_PRESENCE_DRAFT_1 && server.presence == nullptr) ||
        (wanted == WS_LEADER_1 && server.leaders == nullptr) ||
        (wanted == WS_METRICS_1 && server.metrics == nullptr)) {
        return nullptr;
    }
    const auto* found = std::ranges::find(kKnown, wanted, &Known::name);
    return found != kKnown.end() ? found->table() : nullptr;
}

}  // namespace

bool opcode_of(std::uint32_t type, Opcode& opcode) noexcept {
    switch (type) {
        case WS_TEXT: opcode = Opcode::text; return true;
        case WS_BINARY: opcode = Opcode::binary; return true;
        case WS_PING: opcode = Opcode::ping; return true;
        case WS_PONG: opcode = Opcode::pong; return true;
        default: return false;
    }
}

ws_host make_v1_host() noexcept {
    return {sizeof(ws_host), WS_ABI_MINOR, "mod_websocket", WEBSOCKET_VERSION, send, close,
            queued,          log,          extension};
}

}  // namespace websocket::plugin
