// SPDX-License-Identifier: Apache-2.0
// ws.topic/1
#include "plugin/v1/v1_topic.hpp"

#include <memory>
#include <new>
#include <string_view>

#include "plugin/v1/v1_host.hpp"

namespace websocket::plugin {

using engine::ConnectionId;
using hub::TopicResult;

namespace {

ws_result subscribe(const ws_host* host, ws_conn conn, const void* topic, uint64_t n) {
    if (host == nullptr || !is_topic(topic, n)) {
        return WS_BAD_ARG;
    }
    const ConnectionId id = ConnectionId::from_value(conn);
    return subscribe_with(V1Instance::of(host), id,
                          [&](hub::Hub& topics, std::string_view scope, hub::TopicQuota& quota) {
                              return topics.subscribe(scope, topic_name(topic, n), id, quota);
                          });
}

ws_result unsubscribe(const ws_host* host, ws_conn conn, const void* topic, uint64_t n) {
    if (host == nullptr || !is_topic(topic, n)) {
        return WS_BAD_ARG;
    }
    const V1Instance& instance = V1Instance::of(host);
    instance.host().topics->unsubscribe(instance.endpoint().topics.scope, topic_name(topic, n),
                                        ConnectionId::from_value(conn));
    return WS_OK;
}

ws_result publish_message(const ws_host* host, const void* topic, uint64_t topic_size,
                          uint32_t type, const void* bytes, uint64_t n, ws_conn except,
                          uint32_t flags) {
    if (host == nullptr || flags != 0) {
        return WS_BAD_ARG;
    }
    return publish(V1Instance::of(host),
                   {topic, topic_size, type, bytes, n, ConnectionId::from_value(except)});
}

ws_result listen(const ws_host* host, const void* topic, uint64_t n, ws_topic_message message,
                 ws_call done, void* data, uint64_t* listener) {
    if (host == nullptr || !is_topic(topic, n) || message == nullptr || listener == nullptr) {
        return WS_BAD_ARG;
    }
    return plugin::listen(V1Instance::of(host), topic_name(topic, n),
                          {.message = message, .done = done, .data = data}, *listener);
}

void ignore(const ws_host* host, uint64_t listener) {
    if (host != nullptr) {
        V1Instance::of(host).end_listener(listener);
    }
}

uint64_t subscribers(const ws_host* host, const void* topic, uint64_t n) {
    if (host == nullptr || !is_topic(topic, n)) {
        return 0;
    }
    const V1Instance& instance = V1Instance::of(host);
    return instance.host().topics->subscribers(instance.endpoint().topics.scope,
                                               topic_name(topic, n));
}

void stand_for(const ws_host* host, uint64_t listener, uint32_t subscribers) {
    if (host == nullptr) {
        return;
    }
    if (const auto found = V1Instance::of(host).find_listener(listener)) {
        found->stand_for(subscribers);
    }
}

}  // namespace

ws_result abi_result(TopicResult result) noexcept {
    switch (result) {
        case TopicResult::ok: return WS_OK;
        case TopicResult::bad_name:  // names are checked before, and scopes are short
        case TopicResult::gone: return WS_GONE;
        case TopicResult::full:
        case TopicResult::too_many_subscriptions:
        case TopicResult::too_many_topics: return WS_FULL;
        case TopicResult::no_history: return WS_BAD_ARG;
        case TopicResult::too_big: return WS_TOO_BIG;
        case TopicResult::no_memory:
        case TopicResult::unavailable: break;
    }
    return WS_NO_MEMORY;
}

ws_result listen(V1Instance& instance, std::string_view topic,
                 const V1Listener::Functions& functions, std::uint64_t& listener) noexcept {
    try {
        const auto made = std::make_shared<V1Listener>(instance, topic, functions);
        listener = instance.next_number({});
        if (!instance.add_listener(listener, made)) {
            made->forget();
            return WS_GONE;
        }
        const TopicResult result = made->begin();
        if (result != TopicResult::ok) {
            made->forget();
            instance.end_listener(listener);
        }
        return abi_result(result);
    } catch (const std::bad_alloc&) {
        return WS_NO_MEMORY;
    }
}

ws_result publish(const V1Instance& instance, const Publishing& what) noexcept {
    if (!is_topic(what.topic, what.topic_size) || !is_valid(what.bytes, what.size) ||
        (what.type != WS_TEXT && what.type != WS_BINARY)) {
        return WS_BAD_ARG;
    }
    if (what.size >= engine::Gate::kMaxQueued) {
        return WS_TOO_BIG;
    }
    const auto message = span_of(what.bytes, what.size);
    if (what.type == WS_TEXT && !may_leave(instance.host(), instance.endpoint(), message)) {
        return WS_BAD_ARG;
    }
    const auto kind =
        what.type == WS_TEXT ? protocol::MessageType::text : protocol::MessageType::binary;
    return abi_result(instance.host().topics->publish(
        instance.endpoint().topics.scope, topic_name(what.topic, what.topic_size), kind, message,
        what.except, what.fields, what.position));
}

const void* topic_extension() noexcept {
    static constexpr ws_topic_1 kTable{sizeof(ws_topic_1), 0,      subscribe, unsubscribe,
                                       publish_message,    listen, ignore,    subscribers,
                                       stand_for};
    return &kTable;
}

}  // namespace websocket::plugin
