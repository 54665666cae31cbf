// SPDX-License-Identifier: Apache-2.0
// ws.flow/1
#include "engine/connection.hpp"
#include "plugin/v1/v1_delivery.hpp"
#include "plugin/v1/v1_host.hpp"

namespace websocket::plugin {

using engine::ConnectionId;

namespace {

ws_result hold(const ws_host* host, ws_conn conn, bool still) {
    if (host == nullptr) {
        return WS_BAD_ARG;
    }
    V1Instance& instance = V1Instance::of(host);
    const ConnectionId id = ConnectionId::from_value(conn);
    if (id.generation() == 0 || !is_open(instance, id)) {
        return WS_GONE;
    }
    return on_loop(instance.host().engine, id,
                   [still](engine::Loop& /*loop*/, engine::Channel* channel) noexcept {
                       if (channel != nullptr && channel->is_connection()) {
                           static_cast<engine::Connection*>(channel)->hold(still);
                       }
                   });
}

ws_result pause(const ws_host* host, ws_conn conn) { return hold(host, conn, true); }
ws_result resume(const ws_host* host, ws_conn conn) { return hold(host, conn, false); }

}  // namespace

const void* flow_extension() noexcept {
    static constexpr ws_flow_1 kTable{sizeof(ws_flow_1), 0, pause, resume};
    return &kTable;
}

}  // namespace websocket::plugin
