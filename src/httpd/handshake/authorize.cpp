// SPDX-License-Identifier: Apache-2.0
#include "httpd/handshake/authorize.hpp"

#include <http_log.h>
#include <http_protocol.h>

#include <cstddef>
#include <utility>

#include "httpd/handshake/request_snapshot.hpp"
#include "httpd/handshake/response_headers.hpp"
#include "httpd/log/log.hpp"
#include "httpd/module.hpp"
#include "httpd/request_state.hpp"
#include "httpd/response.hpp"
#include "plugin/v0/v0_session.hpp"
#include "plugin/v1/v1_session.hpp"

namespace websocket::httpd {

namespace {

using plugin::V0Session;
using plugin::V1Session;

/// OK, or 431: idle clients are many, and what each keeps of its request is bounded.
int check_size(request_rec* r, const RequestSnapshot& request, const HandshakeOptions& options) {
    const std::size_t most = options.max_request_size;
    const std::size_t size = request.size();
    if (size <= most) {
        return OK;
    }
    log_limited(r, APLOG_WARNING,
                "WS0406: %s refused with 431: its URI, headers and environment, "
                "which the plugin may ask for later, take %" APR_SIZE_T_FMT
                " bytes; see WebSocketMaxRequestSize, %" APR_SIZE_T_FMT,
                wanted_connection(r), size, most);
    apr_table_clear(r->headers_out);
    return HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE;
}

/// Version 0 cannot say more than no: no body, nothing of the handshake.
int refuse_v0(request_rec* r) {
    apr_table_clear(r->headers_out);
    r->status = HTTP_FORBIDDEN;
    ap_set_content_length(r, 0);
    return OK;
}

int ask_v0(request_rec* r, plugin::Host& host, const Endpoint& endpoint, engine::ConnectionId id,
           std::unique_ptr<engine::Session>& session) {
    auto snapshot = RequestSnapshot::take(r);
    RequestSnapshot& request = *snapshot;
    if (const int status = check_size(r, request, endpoint.handshake); status != OK) {
        return status;
    }
    auto candidate =
        std::make_unique<V0Session>(host, endpoint.service.endpoint, id, std::move(snapshot));
    switch (candidate->connect()) {
        case V0Session::Connected::accepted: break;
        case V0Session::Connected::refused: return refuse_v0(r);
        case V0Session::Connected::failed:
            apr_table_clear(r->headers_out);
            return HTTP_INTERNAL_SERVER_ERROR;
    }
    request.detach();
    session = std::move(candidate);
    return OK;
}

/// The plugin's headers and body, or httpd's own page for the status.
int refuse_v1(request_rec* r, int status) {
    drop_accepting_headers(r);
    const RequestSnapshot::Body* body = RequestSnapshot::refusal_body(r);
    if (body == nullptr) {
        keep_headers_with_page(r);
        return status;
    }
    set_status(r, status);
    ap_set_content_type(r, body->type);
    ap_set_content_length(r, static_cast<apr_off_t>(body->size));
    write_all(r, body->bytes, body->size);
    return OK;
}

int ask_v1(request_rec* r, Instances& instances, const Endpoint& endpoint, engine::ConnectionId id,
           std::unique_ptr<engine::Session>& session) {
    plugin::V1Instance& instance = instances.of(endpoint.service);
    if (!instance.start()) {
        apr_table_clear(r->headers_out);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    instances.tell_of_drain(instance);
    return ask_plugin(r, instance, endpoint, id,
                      instance.asks_for_request() ? RequestSnapshot::take(r) : nullptr, session);
}

}  // namespace

int ask_plugin(request_rec* r, plugin::V1Instance& instance, const Endpoint& endpoint,
               engine::ConnectionId id, std::unique_ptr<RequestSnapshot> snapshot,
               std::unique_ptr<engine::Session>& session) {
    RequestSnapshot* request = snapshot.get();
    if (request != nullptr && instance.keeps_request()) {
        if (const int status = check_size(r, *request, endpoint.handshake); status != OK) {
            return status;
        }
    }
    std::unique_ptr<plugin::Request> kept = std::move(snapshot);
    auto candidate = V1Session::make(instance, id);
    if (const std::uint32_t status = candidate->upgrade(kept); status != 0) {
        return refuse_v1(r, static_cast<int>(status));
    }
    if (request != nullptr) {
        request->detach();  // whoever has it now
    }
    session = std::move(candidate);
    return OK;
}

int authorize(request_rec* r, Child& child, const Endpoint& endpoint, engine::ConnectionId id,
              std::unique_ptr<engine::Session>& session) {
    return endpoint.service.endpoint.v1 != nullptr
               ? ask_v1(r, child.instances(), endpoint, id, session)
               : ask_v0(r, child.host(), endpoint, id, session);
}

}  // namespace websocket::httpd
