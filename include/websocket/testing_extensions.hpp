// SPDX-License-Identifier: Apache-2.0
// The inside of websocket/testing.hpp, which is what to include: extensions of the server in memory.
#pragma once

#include "testing.hpp"
#include "testing_drafts.hpp"

struct ws_buffer {
    websocket::testing::Host* host;  ///< keeps it until its own end
    std::uint32_t references;
    std::uint32_t type;
    std::string payload;
};

namespace websocket::testing {

inline Host::~Host() { stop(); }

inline bool Host::holds(const ws_buffer& buffer) {
    if (buffer.references == 0) offences_.emplace_back("a buffer: used after its last reference");
    return buffer.references > 0;
}

inline void Host::count_buffers() {
    if (std::ranges::any_of(buffers_, [](const auto& one) { return one->references > 0; })) {
        offences_.emplace_back("stop: buffers were not released");
    }
}

inline ws_result Host::publish(const void* topic, std::uint64_t topic_size, ws_conn except,
                               const Sent& message, ws_position* position) {
    if (!detail::is_topic(topic, topic_size)) return WS_BAD_ARG;
    const std::string name(detail::view(topic, topic_size));
    Kept* kept = this->kept(name);
    const ws_position at = kept != nullptr ? keep(*kept, message) : ws_position{};
    if (position != nullptr) *position = at;
    const Sent sent = kept != nullptr ? with_position(message, at) : message;
    for (const ws_conn conn : topics_[name]) {
        Client* client = conn != except ? find(conn) : nullptr;
        if (client != nullptr && !client->close_code_) {
            static_cast<void>(deliver(*client, sent));
        }
    }
    for (const auto& [number, one] : listeners_) {
        if (one->topic != name || !one->hears()) continue;
        call_later(number,
                   [type = message.type, payload = message.payload, at](TopicListener& listener) {
                       if (listener.message != nullptr) {
                           listener.message(listener.data, type, payload.data(), payload.size());
                       } else {
                           listener.remembered(listener.data, type, payload.data(), payload.size(),
                                               at.epoch != 0 ? &at : nullptr);
                       }
                   });
    }
    return WS_OK;
}

inline const void* Host::table(const ws_host* server, const char* name) {
    static constexpr ws_timer_1 kTimer{
        sizeof(ws_timer_1), 0,
        [](const ws_host* host, ws_conn conn, std::uint64_t delay, std::uint64_t period,
           ws_call run, ws_call done, void* data, std::uint64_t* number) -> ws_result {
            Host& self = of(host);
            if (run == nullptr || number == nullptr) return WS_BAD_ARG;
            if (conn != 0 && self.find(conn) == nullptr) return WS_GONE;
            *number = self.next_call_++;
            self.calls_[*number] = {conn,
                                    run,
                                    nullptr,
                                    done,
                                    data,
                                    self.now_ + Milliseconds(delay),
                                    Milliseconds(period),
                                    -1,
                                    0};
            return WS_OK;
        },
        [](const ws_host* host, std::uint64_t number) { of(host).finish(number); }};
    static constexpr ws_post_1 kPost{
        sizeof(ws_post_1), 0,
        [](const ws_host* host, ws_conn conn, ws_call run, ws_call done, void* data) -> ws_result {
            Host& self = of(host);
            if (run == nullptr) return WS_BAD_ARG;
            if (conn != 0 && self.find(conn) == nullptr) return WS_GONE;
            self.posted_.push_back(
                {conn, run, nullptr, done, data, Milliseconds(0), Milliseconds(0), -1, 0});
            return WS_OK;
        }};
    static constexpr ws_io_1 kIo{
        sizeof(ws_io_1), 0,
        [](const ws_host* host, ws_conn conn, std::int32_t descriptor, std::uint32_t events,
           void (*run)(void*, std::uint32_t), ws_call done, void* data,
           std::uint64_t* number) -> ws_result {
            Host& self = of(host);
            if (run == nullptr || number == nullptr || descriptor < 0) return WS_BAD_ARG;
            if (conn != 0 && self.find(conn) == nullptr) return WS_GONE;
            *number = self.next_call_++;
            self.calls_[*number] = {
                conn,       nullptr, run, done, data, Milliseconds(0), Milliseconds(0),
                descriptor, events};
            return WS_OK;
        },
        [](const ws_host* host, std::uint64_t number, std::uint32_t events) {
            const auto found = of(host).calls_.find(number);
            if (found != of(host).calls_.end()) found->second.events = events;
        },
        [](const ws_host* host, std::uint64_t number) { of(host).finish(number); }};
    static constexpr ws_buffer_1 kBuffer{
        sizeof(ws_buffer_1),
        0,
        [](const ws_host* host, std::uint32_t type, const void* bytes, std::uint64_t n) {
            Host& self = of(host);
            self.buffers_.push_back(std::make_unique<ws_buffer>(
                ws_buffer{&self, 1, type, std::string(detail::view(bytes, n))}));
            return self.buffers_.back().get();
        },
        [](ws_buffer* buffer) {
            if (buffer != nullptr && buffer->host->holds(*buffer)) ++buffer->references;
        },
        [](ws_buffer* buffer) {
            if (buffer != nullptr && buffer->host->holds(*buffer)) --buffer->references;
        },
        [](const ws_host* host, ws_conn conn, ws_buffer* buffer, std::uint32_t flags) -> ws_result {
            if (buffer == nullptr || !of(host).holds(*buffer)) return WS_BAD_ARG;
            return host->send(host, conn, buffer->type, buffer->payload.data(),
                              buffer->payload.size(), flags);
        }};
    static constexpr ws_stream_1 kStream{
        sizeof(ws_stream_1), 0,
        [](const ws_host* host, ws_conn conn, std::uint32_t type, std::uint32_t part,
           const void* bytes, std::uint64_t n) -> ws_result {
            Client* client = of(host).find(conn);
            if (client == nullptr || client->close_code_) return WS_GONE;
            if (((part & WS_FIRST) != 0) == client->stream_.has_value()) {
                of(host).offences_.emplace_back("stream: parts out of order");
                return WS_BAD_ARG;
            }
            if (!client->stream_) client->stream_ = Sent{type, {}};
            client->stream_->payload += detail::view(bytes, n);
            if ((part & WS_LAST) == 0) return WS_OK;
            const Sent whole = std::move(*client->stream_);
            client->stream_.reset();
            return of(host).deliver(*client, whole);
        }};
    static constexpr auto kHold = [](const ws_host* host, ws_conn conn, bool still) -> ws_result {
        Client* client = of(host).find(conn);
        if (client == nullptr) return WS_GONE;
        client->paused_ = still;
        return WS_OK;
    };
    static constexpr ws_flow_1 kFlow{
        sizeof(ws_flow_1), 0,
        [](const ws_host* host, ws_conn conn) { return kHold(host, conn, true); },
        [](const ws_host* host, ws_conn conn) { return kHold(host, conn, false); }};
    static constexpr ws_metrics_1 kMetrics{
        sizeof(ws_metrics_1), 0,
        [](const ws_host* host, const char* metric, std::uint64_t n, std::uint32_t /*kind*/) {
            const std::string key(detail::view(metric, n));
            return reinterpret_cast<ws_metric*>(&of(host).metrics_[key]);
        },
        [](ws_metric* metric, std::int64_t amount) {
            if (metric != nullptr) *reinterpret_cast<std::int64_t*>(metric) += amount;
        },
        [](ws_metric* metric, std::int64_t value) {
            if (metric != nullptr) *reinterpret_cast<std::int64_t*>(metric) = value;
        }};
    static constexpr ws_topic_1 kTopic{
        sizeof(ws_topic_1),
        0,
        [](const ws_host* host, ws_conn conn, const void* topic, std::uint64_t n) -> ws_result {
            if (topic == nullptr || n == 0 || n > 255) return WS_BAD_ARG;
            if (of(host).find(conn) == nullptr) return WS_GONE;
            of(host).topics_[std::string(detail::view(topic, n))].insert(conn);
            return WS_OK;
        },
        [](const ws_host* host, ws_conn conn, const void* topic, std::uint64_t n) -> ws_result {
            if (topic == nullptr || n == 0 || n > 255) return WS_BAD_ARG;
            of(host).topics_[std::string(detail::view(topic, n))].erase(conn);
            return WS_OK;
        },
        [](const ws_host* host, const void* topic, std::uint64_t topic_size, std::uint32_t type,
           const void* bytes, std::uint64_t n, ws_conn except,
           std::uint32_t /*flags*/) -> ws_result {
            return of(host).publish(topic, topic_size, except,
                                    {type, std::string(detail::view(bytes, n))});
        },
        [](const ws_host* host, const void* topic, std::uint64_t n, ws_topic_message message,
           ws_call done, void* data, std::uint64_t* listener) -> ws_result {
            if (topic == nullptr || n == 0 || n > 255 || message == nullptr ||
                listener == nullptr) {
                return WS_BAD_ARG;
            }
            return of(host).add_listener({.topic = std::string(detail::view(topic, n)),
                                          .message = message,
                                          .done = done,
                                          .data = data},
                                         listener);
        },
        [](const ws_host* host, std::uint64_t listener) { of(host).ignore(listener); },
        [](const ws_host* host, const void* topic, std::uint64_t n) -> std::uint64_t {
            return of(host).subscribers(detail::view(topic, n));
        },
        [](const ws_host* host, std::uint64_t listener, std::uint32_t subscribers) {
            const auto found = of(host).listeners_.find(listener);
            if (found != of(host).listeners_.end()) found->second->stands_for = subscribers;
        }};
    static constexpr ws_leader_1 kLeader{
        sizeof(ws_leader_1), 0,
        [](const ws_host* host, const void* led, std::uint64_t n) -> ws_result {
            if (led == nullptr || n == 0 || n > 255) return WS_BAD_ARG;
            return of(host).leads_ ? WS_OK : WS_FULL;
        },
        [](const ws_host* /*host*/, const void* /*led*/, std::uint64_t /*n*/) {}};
    static constexpr ws_drain_1 kDrain{sizeof(ws_drain_1), 0,
                                       [](const ws_host* host) -> ws_result {
                                           ++of(host).drain_holds_;
                                           return WS_OK;
                                       },
                                       [](const ws_host* host) {
                                           if (of(host).drain_holds_ == 0) {
                                               of(host).offences_.emplace_back(
                                                   "drain: released what was not held");
                                               return;
                                           }
                                           --of(host).drain_holds_;
                                       }};
    static constexpr auto kFind = [](const Pairs& pairs, std::string_view key,
                                     std::uint64_t* size) -> const char* {
        for (const auto& [one, value] : pairs) {
            if (detail::same_name(one, key)) return detail::measured(&value, size);
        }
        return detail::measured(nullptr, size);
    };
    static constexpr ws_request_1 kRequest{
        sizeof(ws_request_1),
        0,
        [](const ws_request* request, std::uint32_t what, std::uint64_t* size) {
            const Handshake& from = of(request).request;
            const std::size_t mark = std::min(from.target.find('?'), from.target.size());
            static thread_local std::map<std::string, std::string> texts;  // keeps them alive
            const auto keep = [](std::string text) -> const std::string* {
                return text.empty() ? nullptr : &texts.emplace(text, text).first->second;
            };
            switch (what) {
                case WS_REQUEST_METHOD:
                    return of(request).http ? detail::measured(&of(request).http->method, size)
                                            : detail::measured(keep("GET"), size);
                case WS_REQUEST_BELOW: {
                    const std::string path = from.target.substr(0, mark);
                    const std::string below = detail::below(path, from.section);
                    static const std::string nothing;
                    return detail::measured(below.empty() ? &nothing : keep(below), size);
                }
                case WS_REQUEST_TARGET: return detail::measured(&from.target, size);
                case WS_REQUEST_PATH:
                    return detail::measured(keep(from.target.substr(0, mark)), size);
                case WS_REQUEST_QUERY: {
                    const bool query = mark < from.target.size();
                    return detail::measured(query ? keep(from.target.substr(mark + 1)) : nullptr,
                                            size);
                }
                case WS_REQUEST_HOST: return detail::measured(keep("localhost"), size);
                case WS_REQUEST_USER:
                    return detail::measured(from.user.empty() ? nullptr : &from.user, size);
                case WS_REQUEST_CLIENT:
                case WS_REQUEST_PEER: return detail::measured(&from.client, size);
                default: return detail::measured(nullptr, size);
            }
        },
        [](const ws_request* /*request*/, std::uint32_t which) -> std::uint32_t {
            return which == WS_PORT_SERVER ? 80 : which == WS_PORT_PEER ? 40000 : 0;
        },
        [](const ws_request* request, const char* key, std::uint64_t n, std::uint64_t* size) {
            return kFind(of(request).request.headers, detail::view(key, n), size);
        },
        [](const ws_request* request, const char* key, std::uint64_t n, std::uint64_t* size) {
            return kFind(of(request).request.environment, detail::view(key, n), size);
        },
        [](const ws_request* request,
           std::int32_t (*visit)(void*, const char*, std::uint64_t, const char*, std::uint64_t),
           void* data) {
            for (const auto& [key, value] : of(request).request.headers) {
                if (visit(data, key.c_str(), key.size(), value.c_str(), value.size()) != 0) return;
            }
        },
        [](const ws_request* request) -> std::uint64_t {
            return of(request).request.subprotocols.size();
        },
        [](const ws_request* request, std::uint64_t index, std::uint64_t* size) {
            const auto& offered = of(request).request.subprotocols;
            return detail::measured(
                index < offered.size() ? &offered[static_cast<std::size_t>(index)] : nullptr, size);
        },
        [](ws_request* request, const char* key, std::uint64_t n) -> ws_result {
            detail::Exchange& exchange = of(request);
            const auto& offered = exchange.request.subprotocols;
            const std::string choice(detail::view(key, n));
            if (!exchange.answering || std::ranges::find(offered, choice) == offered.end()) {
                return WS_BAD_ARG;
            }
            detail::set(exchange.answer.headers, "Sec-WebSocket-Protocol", choice);
            return WS_OK;
        },
        [](ws_request* request, const char* key, std::uint64_t key_size, const char* value,
           std::uint64_t value_size) -> ws_result {
            const std::string_view header = detail::view(key, key_size);
            const std::string_view text = detail::view(value, value_size);
            if (!of(request).answering || !detail::may_be_set(header, text)) return WS_BAD_ARG;
            detail::set(of(request).answer.headers, header, text);
            return WS_OK;
        },
        [](ws_request* request, const char* type, std::uint64_t type_size, const void* bytes,
           std::uint64_t n) -> ws_result {
            if (!of(request).answering) return WS_BAD_ARG;
            of(request).answer.type = detail::view(type, type_size);
            of(request).answer.body = detail::view(bytes, n);
            return WS_OK;
        }};
    static constexpr ws_http_1 kHttp{
        sizeof(ws_http_1),
        0,
        [](ws_request* request, std::uint64_t most, const void** bytes,
           std::uint64_t* n) -> std::uint32_t {
            *bytes = "";
            *n = 0;
            const std::optional<Request>& http = of(request).http;
            if (!http) return 0;
            if (http->body.size() > std::min<std::uint64_t>(most, http->max_body)) return 413;
            *bytes = http->body.data();
            *n = http->body.size();
            return 0;
        },
        [](ws_request* request, const char* key, std::uint64_t key_size, const char* value,
           std::uint64_t value_size) -> ws_result {
            const std::string_view header = detail::view(key, key_size);
            const std::string_view text = detail::view(value, value_size);
            if (!of(request).answering || !detail::may_be_set(header, text)) return WS_BAD_ARG;
            of(request).answer.headers.emplace_back(header, text);
            return WS_OK;
        },
        [](const ws_request* request) -> std::uint32_t {
            const std::optional<Request>& http = of(request).http;
            return !http || http->trusted_origin ? 1 : 0;
        },
        [](const ws_request* request) -> std::uint32_t {
            const std::optional<Request>& http = of(request).http;
            return !http || http->open ? 1 : 0;
        }};
    static constexpr auto kField = [](const char* text, std::uint64_t n) {
        return text != nullptr ? std::optional<std::string>(detail::view(text, n)) : std::nullopt;
    };
    static constexpr auto kMayBeFields = [](const Sent& event) {
        const auto has = [](const std::optional<std::string>& text, std::string_view none_of) {
            return text &&
                   (text->size() > 255 || text->find_first_of(none_of) != std::string::npos);
        };
        return (event.type == WS_TEXT || event.type == WS_BINARY) && !has(event.event, "\r\n") &&
               !has(event.id, std::string_view("\r\n\0", 3));
    };
    static constexpr ws_event_stream_draft_1 kEventStream{
        sizeof(ws_event_stream_draft_1),
        0,
        [](ws_request* request, std::uint64_t retry_ms) -> ws_result {
            detail::Exchange& exchange = of(request);
            const bool reads = exchange.http &&
                               (exchange.http->method == "GET" || exchange.http->method == "HEAD");
            if (!exchange.answering || !reads || retry_ms > 86'400'000) return WS_BAD_ARG;
            exchange.stream = true;
            return WS_OK;
        },
        [](const ws_request* request) -> std::uint32_t { return of(request).stream ? 1 : 0; },
        [](const ws_host* host, ws_conn conn, std::uint32_t type, const void* bytes,
           std::uint64_t n, const char* event, std::uint64_t event_size, const char* id,
           std::uint64_t id_size) -> ws_result {
            const Sent message{type, std::string(detail::view(bytes, n)), kField(event, event_size),
                               kField(id, id_size)};
            if (!kMayBeFields(message)) {
                of(host).offences_.emplace_back("send of an event: a wrong argument");
                return WS_BAD_ARG;
            }
            Client* client = of(host).find(conn);
            if (client == nullptr || client->close_code_) return WS_GONE;
            return of(host).deliver(*client, message);
        },
        [](const ws_host* host, const void* topic, std::uint64_t topic_size, std::uint32_t type,
           const void* bytes, std::uint64_t n, ws_conn except, const char* event,
           std::uint64_t event_size, const char* id, std::uint64_t id_size) -> ws_result {
            const Sent message{type, std::string(detail::view(bytes, n)), kField(event, event_size),
                               kField(id, id_size)};
            if (!kMayBeFields(message)) {
                of(host).offences_.emplace_back("publish of an event: a wrong argument");
                return WS_BAD_ARG;
            }
            return of(host).publish(topic, topic_size, except, message);
        }};
    const std::pair<std::string_view, const void*> known[] = {
        {WS_TIMER_1, &kTimer},
        {WS_POST_1, &kPost},
        {WS_IO_1, &kIo},
        {WS_BUFFER_1, &kBuffer},
        {WS_REQUEST_1, &kRequest},
        {WS_STREAM_1, &kStream},
        {WS_FLOW_1, &kFlow},
        {WS_METRICS_1, &kMetrics},
        {WS_TOPIC_1, &kTopic},
        {WS_LEADER_1, &kLeader},
        {WS_HTTP_1, &kHttp},
        {WS_DRAIN_1, &kDrain},
        {WS_EVENT_STREAM_DRAFT_1, &kEventStream},
    };
    for (const auto& [one, extension] : known) {
        if (one == name) return extension;
    }
    return of(server).draft(name);
}

}  // namespace websocket::testing
