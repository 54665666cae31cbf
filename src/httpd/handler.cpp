// SPDX-License-Identifier: Apache-2.0
#include "httpd/handler.hpp"

#include <http_config.h>
#include <http_log.h>
#include <http_protocol.h>

#include <memory>
#include <new>
#include <utility>

#include "httpd/child.hpp"
#include "httpd/config.hpp"
#include "httpd/module.hpp"
#include "httpd/opening_handshake.hpp"
#include "httpd/request_snapshot.hpp"
#include "httpd/takeover.hpp"
#include "plugin/v0_session.hpp"

APLOG_USE_MODULE(websocket);

namespace websocket::httpd {

namespace {

constexpr std::string_view kHandlerName = "websocket-handler";

const char* text_of(engine::Refusal why) {
    return why == engine::Refusal::too_many_connections
               ? "WebSocketMaxConnections are open in this child"
               : "out of memory, descriptors or threads";
}

int unavailable(request_rec* r, const char* why, int level = APLOG_ERR) {
    ap_log_rerror(APLOG_MARK, level, 0, r, "WS0106: WebSocket handshake refused with 503: %s", why);
    apr_table_clear(r->headers_out);
    return HTTP_SERVICE_UNAVAILABLE;
}

/// Another child takes the client, on another connection.
int ask_to_come_again(request_rec* r) {
    const int status = unavailable(
        r, "this child is stopping; the client is told to close the connection and to come again",
        APLOG_INFO);
    r->connection->keepalive = AP_CONN_CLOSE;
    apr_table_setn(r->err_headers_out, "Retry-After", "1");
    return status;
}

/// The plugin does not want this client: no body, nothing of the handshake, no further request.
int refuse(request_rec* r) {
    apr_table_clear(r->headers_out);
    r->connection->keepalive = AP_CONN_CLOSE;
    r->status = HTTP_FORBIDDEN;
    ap_set_content_length(r, 0);
    return OK;
}

int connect(request_rec* r, const Config& config, const Handshake& handshake, Child& child) {
    plugin::Host& host = child.host();
    auto why = engine::Refusal::stopping;
    auto place = host.engine.reserve(why);
    if (!place) {
        return why == engine::Refusal::stopping ? ask_to_come_again(r)
                                                : unavailable(r, text_of(why));
    }
    engine::Descriptor socket = duplicate_socket(r);
    if (!socket.valid()) {
        return unavailable(r, "out of descriptors (see ulimit -n)");
    }
    if (!host.pool.ready()) {
        return unavailable(r, "no thread for the plugin");
    }
    const plugin::Endpoint& endpoint = child.endpoint(config);
    auto snapshot = RequestSnapshot::take(r);
    RequestSnapshot& request = *snapshot;
    auto session =
        std::make_unique<plugin::V0Session>(host, endpoint, place->id(), std::move(snapshot));
    auto handover = std::make_unique<Handover>(Handover{&host.engine,
                                                        std::move(*place),
                                                        std::move(socket),
                                                        nullptr,
                                                        &endpoint.options,
                                                        handshake.version,
                                                        {}});

    set_accepting_headers(r, handshake);
    switch (session->connect()) {
        case plugin::V0Session::Connected::accepted: break;
        case plugin::V0Session::Connected::refused: return refuse(r);
        case plugin::V0Session::Connected::failed:
            apr_table_clear(r->headers_out);
            return HTTP_INTERNAL_SERVER_ERROR;
    }
    request.detach();
    handover->session = std::move(session);
    return switch_protocols(r, std::move(handover));
}

}  // namespace

int handle_request(request_rec* r) {
    if (r->handler != kHandlerName) {
        return DECLINED;
    }
    try {
        const Config& config = config_of(r);
        Handshake handshake{};
        if (const int status = check_handshake(r, config, handshake); status != OK) {
            return status;
        }
        if (const char* filter = filter_in_the_way(r)) {
            ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                          "WS0108: WebSocket handshake refused with 501: the connection cannot be "
                          "taken over because of its filter \"%s\"",
                          filter);
            return HTTP_NOT_IMPLEMENTED;
        }
        Child* child = Child::instance();
        return child != nullptr ? connect(r, config, handshake, *child)
                                : unavailable(r, "this child has not enough memory");
    } catch (const std::bad_alloc&) {
        return unavailable(r, "out of memory");
    }
}

}  // namespace websocket::httpd
