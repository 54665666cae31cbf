// SPDX-License-Identifier: Apache-2.0
// ws.post/1
#include <new>

#include "plugin/v1/v1_delivery.hpp"
#include "plugin/v1/v1_host.hpp"

namespace websocket::plugin {

using engine::ConnectionId;

namespace {

ws_result post(const ws_host* host, ws_conn conn, ws_call run, ws_call done, void* data) {
    if (host == nullptr || run == nullptr) {
        return WS_BAD_ARG;
    }
    V1Instance& instance = V1Instance::of(host);
    const ConnectionId owner = ConnectionId::from_value(conn);
    if (!is_open(instance, owner)) {
        return WS_GONE;
    }
    V1Call::Ref call;
    try {
        call = V1Call::make(instance, owner, 0, {run, nullptr, done, data});
    } catch (const std::bad_alloc&) {
        return WS_NO_MEMORY;
    }
    const ConnectionId target = owner.generation() != 0 ? owner : instance.home();
    const ws_result result =
        post_to_loop(instance.host().engine, target,
                     [call](engine::Loop& loop, engine::Channel* /*channel*/) noexcept {
                         deliver(loop, call, 0);
                     });
    if (result != WS_OK) {
        call->forget();
    }
    return result;
}

}  // namespace

const void* post_extension() noexcept {
    static constexpr ws_post_1 kTable{sizeof(ws_post_1), 0, post};
    return &kTable;
}

}  // namespace websocket::plugin
