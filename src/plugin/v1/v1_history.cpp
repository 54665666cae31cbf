// SPDX-License-Identifier: Apache-2.0
// ws.history/draft1
#include "websocket/ext/draft/history.h"

#include <limits>
#include <optional>

#include "hub/hub.hpp"
#include "plugin/v1/v1_delivery.hpp"
#include "plugin/v1/v1_host.hpp"
#include "plugin/v1/v1_listener.hpp"
#include "plugin/v1/v1_topic.hpp"

namespace websocket::plugin {

using engine::ConnectionId;
using hub::TopicResult;

namespace {

ws_position abi_position(const hub::Position& position) {
    return {position.epoch, position.offset};
}

void report(const hub::Position& now, bool complete, ws_position* now_too, uint32_t* recovered) {
    if (now_too != nullptr) {
        *now_too = abi_position(now);
    }
    if (recovered != nullptr) {
        *recovered = complete ? 1 : 0;
    }
}

uint32_t keeps(const ws_host* host, const void* topic, uint64_t n) {
    if (host == nullptr || !is_topic(topic, n)) {
        return 0;
    }
    const V1Instance& instance = V1Instance::of(host);
    return instance.host().topics->keeps(instance.endpoint().topics.scope, topic_name(topic, n))
               ? 1
               : 0;
}

ws_result subscribe(const ws_host* host, ws_conn conn, const void* topic, uint64_t n,
                    const ws_position* since, ws_position* now, uint32_t* recovered) {
    if (host == nullptr || !is_topic(topic, n)) {
        return WS_BAD_ARG;
    }
    const V1Instance& instance = V1Instance::of(host);
    std::optional<hub::Return> from;
    if (since != nullptr) {
        from =
            hub::Return{{since->epoch, since->offset}, instance.endpoint().connection.send_buffer};
    }
    hub::Recovered what;
    const ws_result result = subscribe_with(
        V1Instance::of(host), ConnectionId::from_value(conn),
        [&](hub::Hub& topics, std::string_view scope, auto& quota) {
            return topics.subscribe_again(scope, topic_name(topic, n),
                                          ConnectionId::from_value(conn), quota, from, what);
        });
    report(what.now, what.complete, now, recovered);
    return result;
}

ws_result publish_kept(const ws_host* host, const void* topic, uint64_t topic_size, uint32_t type,
                       const void* bytes, uint64_t n, ws_conn except, ws_position* position) {
    if (host == nullptr || position == nullptr) {
        return WS_BAD_ARG;
    }
    hub::Position at;
    const ws_result result =
        publish(V1Instance::of(host), {.topic = topic,
                                       .topic_size = topic_size,
                                       .type = type,
                                       .bytes = bytes,
                                       .size = n,
                                       .except = ConnectionId::from_value(except),
                                       .position = &at});
    *position = abi_position(at);
    return result;
}

ws_result read(const ws_host* host, const void* topic, uint64_t n, const ws_position* since,
               uint64_t until, uint32_t most, ws_history_message message, void* data,
               ws_position* now, uint32_t* recovered) {
    if (host == nullptr || !is_topic(topic, n) || message == nullptr) {
        return WS_BAD_ARG;
    }
    const V1Instance& instance = V1Instance::of(host);
    hub::HistoryRange range{.until = until, .most = most};
    if (since != nullptr) {
        range.since = {since->epoch, since->offset};
        range.whole_within = std::numeric_limits<std::size_t>::max();
    }
    hub::HistoryExcerpt excerpt;
    const bool known = since == nullptr || range.since;
    const TopicResult result = instance.host().topics->read(instance.endpoint().topics.scope,
                                                            topic_name(topic, n), range, excerpt);
    if (result == TopicResult::ok && known && (since == nullptr || excerpt.complete)) {
        for (const engine::SharedFrame& frame : excerpt.frames) {
            const ws_position at = abi_position(hub::position_of(frame));
            const auto payload = frame.payload();
            message(data, frame.opcode() == protocol::Opcode::text ? WS_TEXT : WS_BINARY,
                    payload.data(), payload.size(), &at);
        }
    }
    report(excerpt.top, excerpt.complete, now, recovered);
    return abi_result(result);
}

ws_result listen_with_positions(const ws_host* host, const void* topic, uint64_t n,
                                ws_history_message message, ws_call done, void* data,
                                uint64_t* listener) {
    if (host == nullptr || !is_topic(topic, n) || message == nullptr || listener == nullptr) {
        return WS_BAD_ARG;
    }
    return listen(V1Instance::of(host), topic_name(topic, n),
                  {.remembered = message, .done = done, .data = data}, *listener);
}

}  // namespace

const void* history_extension() noexcept {
    static constexpr ws_history_draft_1 kTable{
        sizeof(ws_history_draft_1), 0, keeps, subscribe, publish_kept, read, listen_with_positions,
    };
    return &kTable;
}

}  // namespace websocket::plugin
