// SPDX-License-Identifier: Apache-2.0
// ws.buffer/1
#include <new>

#include "engine/shared_frame.hpp"
#include "plugin/v1/v1_host.hpp"
#include "plugin/v1/v1_send.hpp"

/// One reference of the plugin; the frame counts them and those of outboxes together.
struct ws_buffer {
    std::atomic<std::uint32_t> references{1};
    websocket::engine::SharedFrame frame;
};

namespace websocket::plugin {

using engine::ConnectionId;
using engine::SharedFrame;

namespace {

ws_buffer* make(const ws_host* host, uint32_t type, const void* bytes, uint64_t n) {
    protocol::Opcode opcode{};
    if (host == nullptr || !is_valid(bytes, n) || !opcode_of(type, opcode) ||
        n >= engine::Gate::kMaxQueued ||
        (protocol::is_control(opcode) && n > protocol::kMaxControlPayload)) {
        return nullptr;
    }
    const V1Instance& instance = V1Instance::of(host);
    if (opcode == protocol::Opcode::text &&
        !may_leave(instance.host(), instance.endpoint(), span_of(bytes, n))) {
        return nullptr;
    }
    try {
        return new ws_buffer{{1}, SharedFrame::build(opcode, span_of(bytes, n))};
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

void retain(ws_buffer* buffer) {
    if (buffer != nullptr) {
        buffer->references.fetch_add(1, std::memory_order_relaxed);
    }
}

void release(ws_buffer* buffer) {
    if (buffer != nullptr && buffer->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        delete buffer;
    }
}

ws_result send(const ws_host* host, ws_conn conn, ws_buffer* buffer, uint32_t flags) {
    if (host == nullptr || buffer == nullptr || (flags & ~WS_UNCOMPRESSED) != 0) {
        return WS_BAD_ARG;
    }
    const ConnectionId id = ConnectionId::from_value(conn);
    return send_result(V1Instance::of(host), id,
                       [&](engine::Engine& engine, std::size_t high_water) {
                           return engine.send(id, buffer->frame, high_water, compression_of(flags),
                                              engine::Tell::session);
                       });
}

}  // namespace

const void* buffer_extension() noexcept {
    static constexpr ws_buffer_1 kTable{sizeof(ws_buffer_1), 0, make, retain, release, send};
    return &kTable;
}

}  // namespace websocket::plugin
