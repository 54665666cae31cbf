// SPDX-License-Identifier: Apache-2.0
// ws.event_stream/draft1
#include <chrono>
#include <new>
#include <optional>
#include <string>
#include <string_view>

#include "engine/event_form.hpp"
#include "plugin/common/request.hpp"
#include "plugin/v1/v1_host.hpp"
#include "plugin/v1/v1_send.hpp"
#include "plugin/v1/v1_topic.hpp"
#include "protocol/event_encoder.hpp"
#include "websocket/ext/draft/event_stream.h"

namespace websocket::plugin {

using engine::ConnectionId;
using engine::SharedFrame;
using protocol::Opcode;

namespace {

constexpr std::chrono::milliseconds kLongestRetry{std::chrono::hours(24)};

ws_result accept(ws_request* request, uint64_t retry_ms) {
    if (request == nullptr || retry_ms > static_cast<std::uint64_t>(kLongestRetry.count())) {
        return WS_BAD_ARG;
    }
    return reinterpret_cast<Request*>(request)->accept_event_stream(
               std::chrono::milliseconds(retry_ms))
               ? WS_OK
               : WS_BAD_ARG;
}

uint32_t is_stream(const ws_request* request) {
    return request != nullptr && reinterpret_cast<const Request*>(request)->is_event_stream() ? 1
                                                                                              : 0;
}

std::optional<std::string_view> field_of(const char* text, uint64_t size) {
    return text != nullptr ? std::optional(std::string_view(text, static_cast<std::size_t>(size)))
                           : std::nullopt;
}

/// Nothing when they are not allowed. Throws std::bad_alloc.
std::optional<std::string> fields_of(const V1Instance& instance, const char* name,
                                     uint64_t name_size, const char* id, uint64_t id_size) {
    const auto allowed = [&](const char* text, uint64_t size) {
        return is_valid(text, size) &&
               may_leave(instance.host(), instance.endpoint(), span_of(text, size));
    };
    if (!allowed(name, name_size) || !allowed(id, id_size)) {
        return {};
    }
    return protocol::event_fields(field_of(name, name_size), field_of(id, id_size));
}

ws_result send_event(V1Instance& instance, ConnectionId to, Opcode opcode,
                     std::span<const std::uint8_t> message, std::string_view fields) {
    if (message.size() >= engine::Gate::kMaxQueued) {
        return WS_TOO_BIG;
    }
    if (opcode == Opcode::text && !may_leave(instance.host(), instance.endpoint(), message)) {
        return WS_BAD_ARG;
    }
    const SharedFrame frame = SharedFrame::build(opcode, message);
    engine::set_event_fields(frame, fields);
    return send_result(instance, to, [&](engine::Engine& engine, std::size_t high_water) {
        return engine.send(to, frame, high_water, engine::Compression::as_agreed,
                           engine::Tell::session);
    });
}

ws_result send(const ws_host* host, ws_conn conn, uint32_t type, const void* bytes, uint64_t n,
               const char* name, uint64_t name_size, const char* id, uint64_t id_size) {
    if (host == nullptr || !is_valid(bytes, n) || (type != WS_TEXT && type != WS_BINARY)) {
        return WS_BAD_ARG;
    }
    V1Instance& instance = V1Instance::of(host);
    try {
        const auto fields = fields_of(instance, name, name_size, id, id_size);
        return fields ? send_event(instance, ConnectionId::from_value(conn),
                                   type == WS_TEXT ? Opcode::text : Opcode::binary,
                                   span_of(bytes, n), *fields)
                      : WS_BAD_ARG;
    } catch (const std::bad_alloc&) {
        return WS_NO_MEMORY;
    }
}

ws_result publish_event(const ws_host* host, const void* topic, uint64_t topic_size, uint32_t type,
                        const void* bytes, uint64_t n, ws_conn except, const char* name,
                        uint64_t name_size, const char* id, uint64_t id_size) {
    if (host == nullptr) {
        return WS_BAD_ARG;
    }
    V1Instance& instance = V1Instance::of(host);
    if (instance.host().topics == nullptr) {
        return WS_NO_MEMORY;
    }
    try {
        const auto fields = fields_of(instance, name, name_size, id, id_size);
        return fields ? publish(instance, {topic, topic_size, type, bytes, n,
                                           ConnectionId::from_value(except), *fields})
                      : WS_BAD_ARG;
    } catch (const std::bad_alloc&) {
        return WS_NO_MEMORY;
    }
}

}  // namespace

const void* event_stream_extension() noexcept {
    static constexpr ws_event_stream_draft_1 kTable{
        sizeof(ws_event_stream_draft_1), 0, accept, is_stream, send, publish_event,
    };
    return &kTable;
}

}  // namespace websocket::plugin
