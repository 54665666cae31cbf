// SPDX-License-Identifier: Apache-2.0
#include "httpd/handshake/handler.hpp"

#include <http_config.h>
#include <http_log.h>
#include <http_protocol.h>

#include <memory>
#include <new>
#include <optional>
#include <utility>

#include "httpd/config/endpoint_settings.hpp"
#include "httpd/handshake/authorize.hpp"
#include "httpd/handshake/connection_caps.hpp"
#include "httpd/handshake/lost_handshake.hpp"
#include "httpd/handshake/opening_handshake.hpp"
#include "httpd/handshake/refusal.hpp"
#include "httpd/log/log.hpp"
#include "httpd/log/record.hpp"
#include "httpd/module.hpp"
#include "httpd/plain/plugin_answer.hpp"
#include "httpd/process/child.hpp"
#include "httpd/siblings/arrival.hpp"
#include "httpd/status/own_metrics.hpp"
#include "httpd/takeover/pump.hpp"
#include "httpd/takeover/takeover.hpp"

namespace websocket::httpd {

namespace {

int connect(request_rec* r, const Endpoint& endpoint, const Handshake& handshake, Child& child) {
    plugin::Host& host = child.host();
    CapLeases leases;
    if (const int status = take_leases(r, endpoint.handshake, leases); status != OK) {
        return status;
    }
    auto why = engine::Refusal::stopping;
    auto early = Arrival::take(r);
    auto place = early ? std::move(early) : host.engine.reserve(why);
    if (!place) {
        return refuse_place(r, why, host.engine.connections());
    }
    std::optional<Pump> pump;
    if (const char* why_pumped = obstacle(r)) {
        if (const int status = prepare_pump(r, child, why_pumped, pump); status != OK) {
            return status;
        }
    }
    base::Descriptor socket = pump ? std::move(pump->engine_end) : duplicate_socket(r->connection);
    if (!socket.valid()) {
        return unavailable(r, "out of descriptors (see ulimit -n)");
    }
    if (!host.pool.ready() || !child.watch().start()) {
        return unavailable(r, "no thread for the plugin, or to watch over it");
    }
    const engine::ConnectionOptions& options = endpoint.service.endpoint.connection;
    const auto agreement = agree_on_deflate(r, handshake, endpoint.handshake.deflate);
    (*place)->agree(agreement.settings);
    (*place)->count_as(status_category(transport_of(r), agreement.settings));
    auto record = Record::make(r, child, options.rates, std::move(leases), {}, place->id());
    auto handover = std::make_unique<Handover>(host.engine, std::move(*place), std::move(socket),
                                               options, handshake.version);

    set_accepting_headers(r, handshake);
    set_extensions_header(r, agreement);
    if (const int status = authorize(r, child, endpoint, handover->place.id(), handover->session);
        handover->session == nullptr) {
        return status;
    }
    if (record != nullptr) {
        record->opened(r);
        handover->place->attach(std::move(record));
    }
    return pump ? run_pump(r, child, std::move(*pump), std::move(handover))
                : switch_protocols(r, std::move(handover));
}

/// No request follows on this connection, whatever the answer. A proxy may have taken the request for
/// an upgrade and pass on bytes already, so that what follows would be requests it has never seen. A
/// stream of HTTP/2 ends by itself.
void end_http(request_rec* r) {
    if (r->connection->master == nullptr) {
        r->connection->keepalive = AP_CONN_CLOSE;
    }
}

}  // namespace

int handle_request(request_rec* r) {
    if (r->handler != kHandlerName) {
        return DECLINED;
    }
    note_arrival(r);
    try {
        const bool upgrade = wants_upgrade(r);
        if (upgrade) {
            end_http(r);
        }
        if (!upgrade || !is_handshake_if_wanted(r)) {
            return answer_without_handshake(r);
        }
        Child* child = Child::instance();
        if (child == nullptr) {
            return unavailable(r, "this child has not enough memory");
        }
        const Endpoint& endpoint = endpoint_of(r);
        Handshake handshake{};
        if (const int status = check_handshake(r, endpoint, handshake); status != OK) {
            return status;
        }
        return child->settle() ? connect(r, endpoint, handshake, *child) : refuse_fork(r);
    } catch (const std::bad_alloc&) {
        return unavailable(r, "out of memory");
    }
}

}  // namespace websocket::httpd
