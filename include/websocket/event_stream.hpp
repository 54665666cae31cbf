// SPDX-License-Identifier: Apache-2.0
// Event streams (server-sent events) for plugins in C++: include it besides websocket/plugin.hpp. It is the face of a
// draft, which may change with any version of the server: see websocket/ext/draft/event_stream.h.
//
//     HttpResponse on_http(const HttpRequest& request) {
//         return wants_event_stream(request) ? streams_.accept(request) : HttpResponse::of_server();
//     }
//     void on_open(Connection client) { client.subscribe("news"); }     // of a WebSocket or a stream
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "connection.hpp"
#include "ext/draft/event_stream.h"
#include "http.hpp"

namespace websocket {

/// Whether the client's Accept names event streams: EventSource says so, and curl -H 'Accept: text/event-stream'.
[[nodiscard]] inline bool wants_event_stream(const Request& request) {
    std::string_view rest = request.header("Accept");
    constexpr std::string_view kType = "text/event-stream";
    while (!rest.empty()) {
        std::string_view item = rest.substr(0, rest.find(','));
        rest.remove_prefix(std::min(rest.size(), item.size() + 1));
        item.remove_prefix(std::min(item.size(), item.find_first_not_of(" \t")));
        item = item.substr(0, item.find_first_of("; \t"));
        const auto lower = [](char c) {
            return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        };
        if (std::ranges::equal(item, kType, {}, lower)) return true;
    }
    return false;
}

/// What is said of an event besides its data.
struct EventFields {
    /// Its type, "message" without: no CR and LF.
    std::optional<std::string_view> name = {};
    /// What the client repeats in Last-Event-ID: no CR, LF and NUL; an empty one makes it forget the last one.
    std::optional<std::string_view> id = {};
};

/// Functions may be called on any thread but accept(); they throw MissingExtension when the server does not have event
/// streams.
class EventStreams {
public:
    explicit EventStreams(const Server& server) noexcept
        : server_(server), table_(static_cast<const ws_event_stream_draft_1*>(
                               server.host()->extension(server.host(), WS_EVENT_STREAM_DRAFT_1))) {}

    [[nodiscard]] bool available() const noexcept { return table_ != nullptr; }

    /// What on_http has to return so that the request is answered with an event stream: on_upgrade is asked next. Other
    /// methods than GET and HEAD get 405. `retry` is how long a client shall wait before it comes back.
    [[nodiscard]] HttpResponse
    accept(const HttpRequest& request,
           std::chrono::milliseconds retry = std::chrono::seconds(2)) const {
        if (table().accept(request.get(), static_cast<std::uint64_t>(retry.count())) != WS_OK) {
            return {.status = 405, .headers = {{"Allow", "GET, HEAD"}}};
        }
        return {};
    }
    /// In on_upgrade, and with `keep_request` later: whether the connection is an event stream.
    [[nodiscard]] bool is_stream(const Request& request) const noexcept {
        return table_ != nullptr && table_->is_stream(request.get()) != 0;
    }
    /// The id of the last event that a client has seen which comes back; empty when it has not. Bytes.
    [[nodiscard]] static std::string_view last_id(const Request& request) {
        return request.header("Last-Event-ID");
    }

    /// A WebSocket gets the message alone.
    Result send(Connection client, Type type, Bytes bytes, const EventFields& fields) const {
        const auto [name, id] = views(fields);
        return Result{table().send(server_.host(), client.id(), static_cast<std::uint32_t>(type),
                                   bytes.data(), bytes.size(), name.data(), name.size(), id.data(),
                                   id.size())};
    }
    Result send(Connection client, std::string_view text, const EventFields& fields) const {
        return send(client, Type::text, bytes_of(text), fields);
    }
    /// To all subscribers of a topic but `except`.
    Result publish(std::string_view topic, std::string_view text, const EventFields& fields,
                   ws_conn except = 0) const {
        const auto [name, id] = views(fields);
        return Result{table().publish(server_.host(), topic.data(), topic.size(), WS_TEXT,
                                      text.data(), text.size(), except, name.data(), name.size(),
                                      id.data(), id.size())};
    }

private:
    struct Views {
        std::string_view name;
        std::string_view id;
    };
    /// Without an address: none.
    static Views views(const EventFields& fields) noexcept {
        const auto view = [](const std::optional<std::string_view>& text) {
            const std::string_view given = text.value_or(std::string_view());
            return text && given.data() == nullptr ? std::string_view("", 0) : given;
        };
        return {view(fields.name), view(fields.id)};
    }
    [[nodiscard]] const ws_event_stream_draft_1& table() const {
        if (table_ == nullptr) throw MissingExtension(WS_EVENT_STREAM_DRAFT_1);
        return *table_;
    }

    const Server& server_;
    const ws_event_stream_draft_1* table_;
};

}  // namespace websocket
