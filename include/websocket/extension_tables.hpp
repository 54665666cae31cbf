// SPDX-License-Identifier: Apache-2.0
// The tables of a server's extensions. Part of websocket/plugin.hpp and websocket/sockjs.hpp.
#pragma once

#include "extensions.h"

namespace websocket::detail {

/// Null: the server does not have it. They live as long as the plugin.
struct ExtensionTables {
    explicit ExtensionTables(const ws_host* host) noexcept {
        load(host, timer, WS_TIMER_1);
        load(host, post, WS_POST_1);
        load(host, io, WS_IO_1);
        load(host, buffer, WS_BUFFER_1);
        load(host, request, WS_REQUEST_1);
        load(host, http, WS_HTTP_1);
        load(host, stream, WS_STREAM_1);
        load(host, flow, WS_FLOW_1);
        load(host, metrics, WS_METRICS_1);
        load(host, topic, WS_TOPIC_1);
        load(host, leader, WS_LEADER_1);
        load(host, drain, WS_DRAIN_1);
    }

    const ws_timer_1* timer = nullptr;
    const ws_post_1* post = nullptr;
    const ws_io_1* io = nullptr;
    const ws_buffer_1* buffer = nullptr;
    const ws_request_1* request = nullptr;
    const ws_http_1* http = nullptr;
    const ws_stream_1* stream = nullptr;
    const ws_flow_1* flow = nullptr;
    const ws_metrics_1* metrics = nullptr;
    const ws_topic_1* topic = nullptr;
    const ws_leader_1* leader = nullptr;
    const ws_drain_1* drain = nullptr;

private:
    template <class Table>
    static void load(const ws_host* host, const Table*& table, const char* name) noexcept {
        table = static_cast<const Table*>(host->extension(host, name));
    }
};

}  // namespace websocket::detail
