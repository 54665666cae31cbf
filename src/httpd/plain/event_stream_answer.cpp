// SPDX-License-Identifier: Apache-2.0
#include "httpd/plain/event_stream_answer.hpp"

#include <apr_buckets.h>
#include <apr_strings.h>
#include <http_log.h>
#include <http_protocol.h>
#include <util_filter.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "httpd/handshake/authorize.hpp"
#include "httpd/handshake/connection_caps.hpp"
#include "httpd/handshake/origin.hpp"
#include "httpd/handshake/refusal.hpp"
#include "httpd/log/log.hpp"
#include "httpd/log/record.hpp"
#include "httpd/module.hpp"
#include "httpd/request_state.hpp"
#include "httpd/response.hpp"
#include "httpd/siblings/arrival.hpp"
#include "httpd/status/own_metrics.hpp"
#include "httpd/takeover/pump.hpp"
#include "httpd/takeover/stream_handover.hpp"
#include "httpd/takeover/takeover.hpp"
#include "protocol/event_encoder.hpp"
#include "protocol/handshake.hpp"

namespace websocket::httpd {

namespace {

constexpr const char* kType = "text/event-stream";

/// What is left of httpd's filters behind the head that does without the body. Names in lower case.
constexpr std::array<std::string_view, 3> kDoWithoutBody{"content_length", "http_outerror",
                                                         "chunk"};

/// A filter of the request that must see the body; null when there is none. Those that did not want this response
/// have gone when they saw its head.
const char* filter_of_body(const request_rec* r) {
    const ap_filter_t* end = r->connection->output_filters;
    for (const ap_filter_t* filter = r->output_filters; filter != nullptr && filter != end;
         filter = filter->next) {
        const std::string_view name = filter->frec->name;
        if (std::ranges::find(kDoWithoutBody, name) == kDoWithoutBody.end()) {
            return filter->frec->name;
        }
    }
    return nullptr;
}

void set_unless_there(apr_table_t* headers, const char* name, const char* value) {
    if (apr_table_get(headers, name) == nullptr) {
        apr_table_setn(headers, name, value);
    }
}

/// Pages of trusted origins may read it, also with the user's cookies: as they may open a WebSocket.
void let_trusted_page_read(request_rec* r, const HandshakeOptions& options) {
    if (options.origin_check != OriginCheck::trusted) {
        return;
    }
    apr_table_mergen(r->headers_out, "Vary", "Origin");
    if (const char* origin = apr_table_get(r->headers_in, "Origin")) {
        set_unless_there(r->headers_out, "Access-Control-Allow-Origin", origin);
        set_unless_there(r->headers_out, "Access-Control-Allow-Credentials", "true");
    }
}

void prepare_head(request_rec* r) {
    set_status(r, HTTP_OK);
    ap_set_content_type(r, kType);
    for (const char* name : {"Content-Type", "ETag", "Last-Modified"}) {
        apr_table_unset(r->headers_out, name);
    }
    set_unless_there(r->headers_out, "Cache-Control", "no-cache");
    set_unless_there(r->headers_out, "X-Accel-Buffering", "no");  // for an nginx in front
    // Compression would hold events back until there is enough of them.
    apr_table_setn(r->subprocess_env, "no-gzip", "1");
    apr_table_setn(r->subprocess_env, "no-brotli", "1");
    if (r->connection->master == nullptr) {
        apr_table_setn(r->subprocess_env, "nokeepalive", "1");
    }
}

/// The head goes out with all that other modules do to it, and nothing of a body.
void send_head(request_rec* r) {
    apr_bucket_brigade* bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_flush_create(r->connection->bucket_alloc));
    ap_pass_brigade(r->output_filters, bb);
    apr_brigade_destroy(bb);
}

int run_pumped(request_rec* r, Child& child, Pump pump, std::unique_ptr<StreamHandover> handover) {
    handover->taken.socket = std::move(pump.engine_end);
    handover->how.framing = protocol::BodyFraming::bare;  // httpd frames it
    handover->take_over(r->connection);
    handover.reset();
    FilterStream client(r, FilterStream::Use::body);
    return relay(r, child, std::move(pump), client);
}

/// Sends the head and serves the rest.
int begin_stream(request_rec* r, Child& child, std::optional<Pump> pump,
                 std::unique_ptr<StreamHandover> handover) {
    send_head(r);
    if (const char* filter = pump ? nullptr : filter_of_body(r)) {
        const char* why = apr_psprintf(r->pool, "of its filter \"%s\"", filter);
        if (prepare_pump(r, child, why, pump) != OK) {
            handover->give_up();
            return OK;  // the end of an empty stream: the client comes back
        }
    }
    if (pump) {
        return run_pumped(r, child, std::move(*pump), std::move(handover));
    }
    handover->how.framing =
        r->chunked != 0 ? protocol::BodyFraming::chunked : protocol::BodyFraming::bare;
    return hand_over_stream(r, std::move(handover));
}

}  // namespace

bool wants_event_stream(const request_rec* r) {
    const char* accepted = apr_table_get(r->headers_in, "Accept");
    return accepted != nullptr && protocol::list_has_token(accepted, kType);
}

int ask_listener_to_come_again(request_rec* r) {
    constexpr std::string_view kSoon = "retry: 1000\n\n";
    log_limited(
        r, APLOG_INFO,
        "WS0106: event stream ended at once: this child is stopping, and the client will come "
        "again");
    prepare_head(r);
    write_all(r, kSoon.data(), kSoon.size());
    return OK;
}

int open_event_stream(request_rec* r, Child& child, const Endpoint& endpoint,
                      plugin::V1Instance& instance, std::unique_ptr<RequestSnapshot> request,
                      std::chrono::milliseconds retry) {
    constexpr unsigned kOfToday = 13;
    state_of(r).event_stream = true;
    if (!is_trusted_origin(r, endpoint.handshake, kOfToday)) {
        return HTTP_FORBIDDEN;
    }
    let_trusted_page_read(r, endpoint.handshake);
    if (r->header_only != 0) {
        prepare_head(r);
        return OK;
    }
    CapLeases leases;
    if (const int status = take_leases(r, endpoint.handshake, leases); status != OK) {
        return status;
    }
    plugin::Host& host = child.host();
    auto why = engine::Refusal::stopping;
    Arrival::give_back(r->connection);  // it is one of a WebSocket
    auto place = host.engine.reserve<engine::EventStream>(why);
    if (!place) {
        return why == engine::Refusal::stopping ? ask_listener_to_come_again(r)
                                                : refuse_place(r, why, host.engine.connections());
    }
    std::optional<Pump> pump;
    if (const char* why_pumped = obstacle(r)) {
        if (const int status = prepare_pump(r, child, why_pumped, pump); status != OK) {
            return status;
        }
    }
    base::Descriptor socket = pump ? base::Descriptor() : duplicate_socket(r->connection);
    if (!pump && !socket.valid()) {
        return unavailable(r, "out of descriptors (see ulimit -n)");
    }
    const engine::ConnectionOptions& options = endpoint.service.endpoint.connection;
    (*place)->count_as(status_category(TransportKind::sse, {}));
    auto record = Record::make(r, child, options.rates, std::move(leases), {}, place->id());
    auto handover = std::make_unique<StreamHandover>(host.engine, std::move(*place),
                                                     std::move(socket), options);
    handover->how.retry = retry;
    if (const int status = ask_plugin(r, instance, endpoint, handover->place.id(),
                                      std::move(request), handover->session);
        handover->session == nullptr) {
        return status;
    }
    prepare_head(r);
    if (record != nullptr) {
        record->opened(r);
        handover->place->attach(std::move(record));
    }
    return begin_stream(r, child, std::move(pump), std::move(handover));
}

}  // namespace websocket::httpd
