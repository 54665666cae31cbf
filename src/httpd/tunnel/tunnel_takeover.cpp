// SPDX-License-Identifier: Apache-2.0
#include "httpd/tunnel/tunnel_takeover.hpp"

#include <apr_network_io.h>
#include <http_core.h>
#include <http_log.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <new>
#include <utility>

#include "httpd/config/config.hpp"
#include "httpd/log/log.hpp"
#include "httpd/log/record.hpp"
#include "httpd/module.hpp"
#include "httpd/process/child.hpp"
#include "httpd/status/own_metrics.hpp"
#include "httpd/takeover/handover.hpp"
#include "httpd/takeover/takeover.hpp"
#include "httpd/tunnel/stays_with_httpd.hpp"
#include "protocol/extension_list.hpp"

namespace websocket::httpd {

namespace {

/// Both connections of a tunnel, until httpd has let go of them.
class TunnelHandover final : public Successor {
public:
    TunnelHandover(engine::Engine& engine, const engine::ConnectionOptions& options,
                   const engine::TunnelOptions& how, TakenConnection client,
                   TakenConnection backend) noexcept
        : engine_(engine), options_(options), how_(how), client_(std::move(client)),
          backend_(std::move(backend)) {}

    /// Before httpd lets go of the connections.
    void take(TunnelAttempt::Place place) noexcept { place_.emplace(std::move(place)); }

    void take_over(conn_rec* c) noexcept override {
        try {
            (*place_)->prepare(side_of(client_), side_of(backend_), options_, how_);
        } catch (const std::bad_alloc&) {
            log_limited(c, APLOG_ERR, "WS0301: out of memory, closing one connection");
            return;
        }
        engine_.serve(std::move(*place_));
    }

    TakenConnection& client() noexcept { return client_; }
    TakenConnection& backend() noexcept { return backend_; }

private:
    static engine::Tunnel::Side side_of(TakenConnection& taken) {
        return {make_transport(taken), std::move(taken.early_input)};
    }

    engine::Engine& engine_;
    std::optional<TunnelAttempt::Place> place_;
    const engine::ConnectionOptions& options_;
    const engine::TunnelOptions how_;
    TakenConnection client_;
    TakenConnection backend_;
};

/// As for mod_proxy's tunnels: the longer one of both.
std::chrono::milliseconds idle_timeout(const TunnelAttempt& attempt) noexcept {
    const auto timeout_of = [](conn_rec* c) {
        apr_interval_time_t timeout = -1;
        apr_socket_timeout_get(ap_get_conn_socket(c), &timeout);
        return timeout;
    };
    const auto timeout = std::max(timeout_of(attempt.r->connection), timeout_of(attempt.backend));
    return std::chrono::milliseconds(
        timeout > 0 ? std::max<apr_interval_time_t>(apr_time_as_msec(timeout), 1) : 0);
}

/// Whether frames may be marked as compressed; nothing when nobody knows what they look like.
std::optional<bool> are_compressible(const char* extensions) {
    if (extensions == nullptr) {
        return false;
    }
    const auto agreed = protocol::parse_extension_list(extensions);
    const bool deflate = agreed.size() == 1 && agreed.front().name == "permessage-deflate";
    return deflate ? std::optional(true) : std::nullopt;
}

engine::TunnelOptions tunnel_options(const TunnelAttempt& attempt) {
    const Config& config = config_of(attempt.r);
    engine::TunnelOptions how;
    how.buffer = static_cast<std::size_t>(config.get(Setting::tunnel_buffer));
    how.idle_timeout = idle_timeout(attempt);
    how.half_close = attempt.half_close;
    how.frames = tunnel_mode(attempt.r) == TunnelMode::frames;
    if (how.frames) {
        const char* extensions = attempt.response_header("Sec-WebSocket-Extensions");
        const bool known =
            attempt.response.status() == protocol::ResponseHeadParser::Status::complete;
        const auto compressible = known ? are_compressible(extensions) : std::nullopt;
        if (!compressible) {
            log_limited(
                attempt.r, APLOG_WARNING,
                "WS0153: the frames of this tunnel are passed on unseen, because nobody here "
                "knows the extensions %s",
                printable(attempt.r->pool, extensions));
        }
        how.frames = compressible.has_value();
        how.compressible = compressible.value_or(false);
    }
    return how;
}

std::unique_ptr<engine::ConnectionRecord> make_record(TunnelAttempt& attempt) {
    const auto& options = attempt.endpoint.service.endpoint.connection;
    BusyCount busy = attempt.busy != nullptr ? BusyCount(*attempt.busy) : BusyCount();
    auto record = Record::make(attempt.r, attempt.child, options.rates, std::move(attempt.leases),
                               std::move(busy), attempt.place->id());
    if (record != nullptr) {
        record->opened(attempt.r);
    }
    return record;
}

std::shared_ptr<TunnelHandover> make_handover(TunnelAttempt& attempt) {
    TakenConnection client{.socket = duplicate_socket(attempt.r->connection)};
    TakenConnection backend{.socket = duplicate_socket(attempt.backend)};
    if (!client.socket.valid() || !backend.socket.valid()) {
        return nullptr;
    }
    const auto& options = attempt.endpoint.service.endpoint.connection;
    const engine::TunnelOptions how = tunnel_options(attempt);
    auto handover = std::make_shared<TunnelHandover>(attempt.child.host().engine, options, how,
                                                     std::move(client), std::move(backend));
    TunnelAttempt::Place& place = *attempt.place;
    attempt.taken = true;  // which the lines of the log tell
    place->attach(make_record(attempt));
    place->count_as(status_category(TransportKind::tunnel, {}));
    handover->take(std::move(place));
    attempt.place.reset();
    return handover;
}

}  // namespace

bool take_tunnel(TunnelAttempt& attempt) noexcept {
    request_rec* r = attempt.r;
    try {
        auto handover = make_handover(attempt);
        if (handover == nullptr) {
            stays_with_httpd(r, StaysBecause::descriptors);
            return false;
        }
        // From here on nothing fails but single streams, whose sockets are shut then.
        for (auto [c, taken] : {std::pair(r->connection, &handover->client()),
                                std::pair(attempt.backend, &handover->backend())}) {
            take_tls(c, *taken);
            take_early_input(c, *taken);
            hand_over_later(c, handover);
        }
    } catch (const std::bad_alloc&) {
        attempt.taken = false;
        stays_with_httpd(r, StaysBecause::memory);
        return false;
    }
    // Of the client's connection httpd says the end itself, when the request is logged.
    if (tls_of(attempt.backend) != nullptr) {
        end_tls(attempt.backend);
    }
    attempt.backend->aborted = 1;
    let_go_after(r);
    return true;
}

}  // namespace websocket::httpd
