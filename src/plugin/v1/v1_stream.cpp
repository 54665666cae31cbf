// SPDX-License-Identifier: Apache-2.0
// ws.stream/1
#include <new>
#include <optional>

#include "engine/shared_frame.hpp"
#include "plugin/v1/v1_host.hpp"
#include "plugin/v1/v1_send.hpp"

namespace websocket::plugin {

using engine::ConnectionId;
using engine::SharedFrame;
using protocol::Opcode;

namespace {

/// Sends one part. Text is checked as far as it has come.
ws_result send_part(V1Instance& instance, ConnectionId id, const SharedFrame& frame,
                    std::optional<protocol::Utf8Validator> text) noexcept {
    const bool last = (frame.bytes().front() & protocol::kFin) != 0;
    if (text && !(text->update(frame.payload()) && (!last || text->complete()))) {
        report_invalid_text(instance.host(), instance.endpoint(),
                            "a part of a text that is not UTF-8 was not sent");
        return WS_BAD_ARG;
    }
    const ws_result result = send_result(
        instance, id,
        [&](engine::Engine& engine, std::size_t high_water) {
            return engine.send(id, frame, high_water, engine::Compression::as_agreed,
                               engine::Tell::session);
        },
        engine::passage_of(frame.bytes().front()));
    if (result >= WS_OK && text) {
        last ? instance.outgoing_texts().end(id) : instance.outgoing_texts().put(id, *text);
    }
    return result;
}

ws_result send(const ws_host* host, ws_conn conn, uint32_t type, uint32_t part, const void* bytes,
               uint64_t n) {
    if (host == nullptr || !is_valid(bytes, n) || (type != WS_TEXT && type != WS_BINARY) ||
        (part & ~(WS_FIRST | WS_LAST)) != 0) {
        return WS_BAD_ARG;
    }
    if (n >= engine::Gate::kMaxQueued) {
        return WS_TOO_BIG;
    }
    V1Instance& instance = V1Instance::of(host);
    OutgoingTexts& texts = instance.outgoing_texts();
    const ConnectionId id = ConnectionId::from_value(conn);
    const bool first = (part & WS_FIRST) != 0;
    const bool last = (part & WS_LAST) != 0;
    Opcode opcode = Opcode::continuation;
    if (first) {
        opcode = type == WS_TEXT ? Opcode::text : Opcode::binary;
    }
    try {
        const SharedFrame frame = SharedFrame::build(opcode, span_of(bytes, n), last);
        if (!first) {
            return send_part(instance, id, frame, texts.find(id));
        }
        if (type == WS_BINARY) {
            texts.end(id);
            return send_part(instance, id, frame, std::nullopt);
        }
        // The connection may end at any time: what has begun here also ends here unless it was sent.
        texts.begin(id);
        const ws_result result = send_part(instance, id, frame, protocol::Utf8Validator());
        if (result < WS_OK) {
            texts.end(id);
        }
        return result;
    } catch (const std::bad_alloc&) {
        return WS_NO_MEMORY;
    }
}

}  // namespace

const void* stream_extension() noexcept {
    static constexpr ws_stream_1 kTable{sizeof(ws_stream_1), 0, send};
    return &kTable;
}

}  // namespace websocket::plugin
