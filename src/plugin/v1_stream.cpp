// SPDX-License-Identifier: Apache-2.0
// ws.stream/1
#include <new>

#include "engine/shared_frame.hpp"
#include "plugin/v1_host.hpp"
#include "plugin/v1_send.hpp"

namespace websocket::plugin {

using engine::ConnectionId;
using engine::SharedFrame;
using protocol::Opcode;

namespace {

ws_result send(const ws_host* host, ws_conn conn, uint32_t type, uint32_t part, const void* bytes,
               uint64_t n) {
    if (host == nullptr || !is_valid(bytes, n) || (type != WS_TEXT && type != WS_BINARY) ||
        (part & ~(WS_FIRST | WS_LAST)) != 0) {
        return WS_BAD_ARG;
    }
    if (n >= engine::Gate::kMaxQueued) {
        return WS_TOO_BIG;
    }
    Opcode opcode = Opcode::continuation;
    if ((part & WS_FIRST) != 0) {
        opcode = type == WS_TEXT ? Opcode::text : Opcode::binary;
    }
    const ConnectionId id = ConnectionId::from_value(conn);
    try {
        const SharedFrame frame =
            SharedFrame::build(opcode, octets(bytes, n), (part & WS_LAST) != 0);
        return send_result(V1Instance::of(host), id,
                           [&](engine::Engine& engine, std::size_t high_water) {
                               return engine.send(id, frame, high_water);
                           });
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
