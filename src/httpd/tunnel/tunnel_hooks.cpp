// SPDX-License-Identifier: Apache-2.0
#include "httpd/tunnel/tunnel_hooks.hpp"

#include <httpd.h>

#include <apr_optional_hooks.h>
#include <apr_strings.h>
#include <dlfcn.h>
#include <http_config.h>
#include <http_connection.h>
#include <http_log.h>
#include <http_protocol.h>
#include <mod_proxy.h>
#include <util_filter.h>

#include <algorithm>
#include <array>
#include <new>
#include <optional>
#include <string_view>
#include <utility>

#include "httpd/config/endpoint_settings.hpp"
#include "httpd/handshake/opening_handshake.hpp"
#include "httpd/handshake/origin.hpp"
#include "httpd/handshake/plain_request.hpp"
#include "httpd/handshake/refusal.hpp"
#include "httpd/log/log.hpp"
#include "httpd/module.hpp"
#include "httpd/process/child.hpp"
#include "httpd/request_state.hpp"
#include "httpd/siblings/arrival.hpp"
#include "httpd/takeover/takeover.hpp"
#include "httpd/tunnel/stays_with_httpd.hpp"
#include "httpd/tunnel/tunnel_attempt.hpp"
#include "httpd/tunnel/tunnel_takeover.hpp"

namespace websocket::httpd {

namespace {

// httpd's hooks have no other place for them.
ap_filter_rec_t* input_filter = nullptr;
ap_filter_rec_t* output_filter = nullptr;

bool goes_to_backend(const request_rec* r) noexcept {
    return r->proxyreq != PROXYREQ_PROXY && r->handler != nullptr &&
           std::string_view(r->handler).starts_with("proxy");
}

/// RFC 9110 section 7.8 for HTTP/1.0. mod_proxy looks at neither.
bool can_be_handshake(const request_rec* r) noexcept {
    return r->proto_num >= HTTP_VERSION(1, 1) && !is_for_another(r);
}

/// Since then a tunnel can be ended on one side without shutting both sockets.
bool is_old_httpd() {
    constexpr int kMinor = 4;
    constexpr int kPatch = 52;
    ap_version_t version{};
    ap_get_server_revision(&version);
    return version.major == 2 &&
           (version.minor < kMinor || (version.minor == kMinor && version.patch < kPatch));
}

/// Why mod_proxy will have to keep it; nothing when it may be taken over.
std::optional<StaysBecause> known_obstacle(const request_rec* r, const char*& detail) {
    if (r->connection->master != nullptr) return StaysBecause::http2;
    if (Child::instance()->is_forked()) return StaysBecause::forked;
    if (is_old_httpd()) return StaysBecause::old_httpd;
    if (ap_find_linked_module("mod_proxy_http.c") == nullptr) return StaysBecause::no_proxy_http;
    detail = filter_in_the_way(r->connection);
    return detail != nullptr ? std::optional(StaysBecause::filter) : std::nullopt;
}

apr_status_t end_attempt(void* attempt) {
    static_cast<TunnelAttempt*>(attempt)->~TunnelAttempt();
    return APR_SUCCESS;
}

/// Whether its frames can be followed, and may come.
int check_for_frames(request_rec* r) {
    if (const int status = check_body(r); status != OK) {
        return status;
    }
    return is_trusted_origin(r, endpoint_of(r).handshake, websocket_version(r)) ? OK
                                                                                : HTTP_FORBIDDEN;
}

/// What is checked before the backend is asked. A status to answer with, or DECLINED: mod_proxy goes on.
int begin_attempt(request_rec* r) {
    auto early = Arrival::take(r);  // also of one that stays with httpd
    if (tunnel_mode(r) == TunnelMode::frames) {
        if (const int status = check_for_frames(r); status != OK) {
            return status;
        }
    }
    Child* child = Child::instance();
    if (child == nullptr) {
        stays_with_httpd(r, StaysBecause::memory);
        return DECLINED;
    }
    if (!child->settle()) {
        stays_with_httpd(r, StaysBecause::forked);
        return DECLINED;
    }
    const char* detail = nullptr;
    if (const auto why = known_obstacle(r, detail)) {
        stays_with_httpd(r, *why, detail != nullptr ? detail : "");
        return DECLINED;
    }
    const Endpoint& endpoint = endpoint_of(r);
    CapLeases leases;
    if (const int status = take_leases(r, endpoint.handshake, leases); status != OK) {
        return status;
    }
    engine::Engine& engine = child->host().engine;
    early.reset();  // it is one of a connection
    auto why = engine::Refusal::stopping;
    auto place = engine.reserve<engine::Tunnel>(why);
    if (!place && why == engine::Refusal::too_many_connections) {
        return refuse_for_child_cap(r, engine.connections());
    }
    if (!place && why == engine::Refusal::stopping) {
        return ask_to_come_again(r);
    }
    if (!place || !child->watch().start()) {
        stays_with_httpd(r, StaysBecause::threads);
        return DECLINED;
    }
    auto* attempt = new (apr_palloc(r->pool, sizeof(TunnelAttempt)))
        TunnelAttempt(r, *child, endpoint, std::move(*place), std::move(leases));
    apr_pool_cleanup_register(r->pool, attempt, end_attempt, apr_pool_cleanup_null);
    state_of(r).attempt = attempt;
    return DECLINED;
}

/// Before mod_proxy's handler, when it is known who the client is and that it may ask. Whatever Connection
/// says: mod_proxy upgrades whoever has an Upgrade, and tells the backend of Connection by itself.
int check_request(request_rec* r) {
    if (!may_become_tunnel(r)) {
        return DECLINED;
    }
    if (!can_be_handshake(r)) {
        apr_table_unset(r->headers_in, "Upgrade");
        return DECLINED;
    }
    try {
        return begin_attempt(r);
    } catch (const std::bad_alloc&) {
        stays_with_httpd(r, StaysBecause::memory);
        return DECLINED;
    }
}

/// Nobody upgrades what is FastCGI, say.
bool leads_to_http(const char* url) noexcept {
    constexpr std::array<std::string_view, 4> kSchemes{"ws:", "wss:", "http:", "https:"};
    return std::ranges::any_of(kSchemes, [url](std::string_view scheme) {
        return ap_cstr_casecmpn(url, scheme.data(), scheme.size()) == 0;
    });
}

/// mod_proxy has chosen whom to ask; there may be others before.
int note_worker(request_rec* r, proxy_worker* worker, proxy_server_conf* /*conf*/, char* url,
                const char* /*proxyhost*/, apr_port_t /*proxyport*/) {
    TunnelAttempt* attempt = attempt_of(r);
    if (attempt != nullptr && !leads_to_http(url)) {
        attempt->give_up();
    } else if (attempt != nullptr) {
        const bool balanced = apr_table_get(r->subprocess_env, "BALANCER_NAME") != nullptr;
        attempt->busy = balanced ? &worker->s->busy : nullptr;
        attempt->url = apr_pstrdup(r->pool, worker->s->name);
    }
    return DECLINED;
}

bool is_among(const ap_filter_t* filters, const ap_filter_rec_t* wanted) noexcept {
    while (filters != nullptr && filters->frec != wanted) {
        filters = filters->next;
    }
    return filters != nullptr;
}

/// Each is there once, for the life of the connection. The response to this request passes it, too.
void add_filters(request_rec* r, conn_rec* backend) {
    conn_rec* client = r->connection;
    for (conn_rec* c : {client, backend}) {
        if (!is_among(c->input_filters, input_filter)) {
            ap_add_input_filter_handle(input_filter, nullptr, nullptr, c);
        }
    }
    if (!is_among(client->output_filters, output_filter)) {
        ap_add_output_filter_handle(output_filter, nullptr, r, client);
    }
}

/// The request has gone to the backend, `pr` is there to read the answer. Perhaps not for the first time.
int note_backend(request_rec* r, request_rec* pr) {
    TunnelAttempt* attempt = attempt_of(r);
    set_candidate(nullptr);
    if (attempt == nullptr || !attempt->place) {
        return DECLINED;
    }
    constexpr const char* kNoHalfClose = "proxy-nohalfclose";
    if (attempt->backend == nullptr) {
        attempt->half_close = apr_table_get(r->subprocess_env, kNoHalfClose) == nullptr;
    }
    attempt->backend = pr->connection;
    if (const char* filter = filter_in_the_way(pr->connection)) {
        if (attempt->half_close) {
            apr_table_unset(r->subprocess_env, kNoHalfClose);  // an earlier backend had none
        }
        stays_with_httpd(r, StaysBecause::filter, filter);
        return DECLINED;
    }
    apr_table_setn(r->subprocess_env, kNoHalfClose, "1");  // how mod_proxy is told to let go
    add_filters(r, pr->connection);
    for (conn_rec* c : {r->connection, pr->connection}) {
        if (SSL* ssl = tls_of(c)) {
            SSL_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);  // while nothing is in them
        }
    }
    // They were copied before; mod_proxy compares them to find out where filters of HTTP belong.
    pr->input_filters = pr->connection->input_filters;
    pr->proto_input_filters = pr->connection->input_filters;
    set_candidate(attempt);
    return DECLINED;
}

/// mod_proxy has done what it can, and an error of its own has not gone out yet.
int end_candidacy(int* /*status*/, request_rec* r) {
    set_candidate(nullptr);
    if (TunnelAttempt* attempt = attempt_of(r)) {
        attempt->give_up();
    }
    return DECLINED;
}

/// Nobody but mod_proxy's tunnel reads so while the status is 101: the response has gone out.
bool is_first_read(const TunnelAttempt& attempt, const conn_rec* c, ap_input_mode_t mode,
                   apr_read_type_e block) noexcept {
    return (c == attempt.backend || c == attempt.r->connection) &&
           attempt.r->status == HTTP_SWITCHING_PROTOCOLS && mode == AP_MODE_READBYTES &&
           block == APR_NONBLOCK_READ;
}

/// Passes everything on, but what a tunnel reads first: it is told that the stream has ended.
apr_status_t read_tunnel(ap_filter_t* filter, apr_bucket_brigade* bb, ap_input_mode_t mode,
                         apr_read_type_e block, apr_off_t bytes) {
    TunnelAttempt* attempt = candidate();
    if (attempt != nullptr && attempt->place && is_first_read(*attempt, filter->c, mode, block)) {
        set_candidate(nullptr);
        if (take_tunnel(*attempt)) {
            return APR_EOF;
        }
    }
    return ap_get_brigade(filter->next, bb, mode, block, bytes);
}

/// What of the response is in `bb`, if anything.
void read_response(apr_bucket_brigade* bb, protocol::ResponseHeadParser& response) {
    using Status = protocol::ResponseHeadParser::Status;
    for (apr_bucket* bucket = APR_BRIGADE_FIRST(bb);
         bucket != APR_BRIGADE_SENTINEL(bb) && response.status() == Status::incomplete;
         bucket = APR_BUCKET_NEXT(bucket)) {
        const char* data = nullptr;
        apr_size_t size = 0;
        if (!APR_BUCKET_IS_METADATA(bucket) &&
            apr_bucket_read(bucket, &data, &size, APR_BLOCK_READ) == APR_SUCCESS) {
            response.consume({data, size});
        }
    }
}

/// Passes everything on. What the headers of an interim response were, httpd forgets before it has sent them.
apr_status_t note_response(ap_filter_t* filter, apr_bucket_brigade* bb) {
    TunnelAttempt* attempt = candidate();
    if (attempt == nullptr || attempt->r->connection != filter->c) {
        return ap_pass_brigade(filter->next, bb);
    }
    if (!ap_is_HTTP_INFO(attempt->r->status)) {
        set_candidate(nullptr);  // mod_proxy does not always run its hook behind an error
        attempt->give_up();      // before the client knows
    } else if (attempt->r->status == HTTP_SWITCHING_PROTOCOLS) {
        try {
            read_response(bb, attempt->response);
        } catch (const std::bad_alloc&) {
            set_candidate(nullptr);  // it stays with httpd
            stays_with_httpd(attempt->r, StaysBecause::memory);
        }
    }
    return ap_pass_brigade(filter->next, bb);
}

/// mod_proxy_wstunnel serves a tunnel without telling anybody.
int tell_of_other_tunnels(request_rec* r) {
    const TunnelAttempt* attempt = attempt_of(r);
    if (attempt != nullptr && attempt->url != nullptr && attempt->backend == nullptr &&
        r->status < HTTP_BAD_REQUEST) {
        stays_with_httpd(r, StaysBecause::no_proxy_http);
    }
    return DECLINED;
}

/// A hook that only modules can use that are linked with mod_proxy, which may not be loaded.
int hook_into_mod_proxy(apr_pool_t* /*pconf*/, apr_pool_t* /*plog*/, apr_pool_t* /*ptemp*/) {
    using AddHook =
        void (*)(proxy_HOOK_scheme_handler_t*, const char* const*, const char* const*, int);
    if (void* symbol = ::dlsym(RTLD_DEFAULT, "proxy_hook_scheme_handler")) {
        reinterpret_cast<AddHook>(symbol)(note_worker, nullptr, nullptr, APR_HOOK_REALLY_FIRST);
    }
    return OK;
}

}  // namespace

bool may_become_tunnel(const request_rec* r) {
    return goes_to_backend(r) && tunnel_mode(r) != TunnelMode::off && wants_upgrade(r);
}

void register_tunnels() {
    input_filter =
        ap_register_input_filter(kTunnelFilter.data(), read_tunnel, nullptr, AP_FTYPE_CONNECTION);
    output_filter = ap_register_output_filter(kTunnelFilter.data(), note_response, nullptr,
                                              AP_FTYPE_CONNECTION);
    ap_hook_pre_config(hook_into_mod_proxy, nullptr, nullptr, APR_HOOK_MIDDLE);
    ap_hook_handler(check_request, nullptr, nullptr, APR_HOOK_FIRST - 1);
    APR_OPTIONAL_HOOK(proxy, create_req, note_backend, nullptr, nullptr, APR_HOOK_MIDDLE);
    APR_OPTIONAL_HOOK(proxy, request_status, end_candidacy, nullptr, nullptr, APR_HOOK_MIDDLE);
    ap_hook_log_transaction(tell_of_other_tunnels, nullptr, nullptr, APR_HOOK_MIDDLE);
}

}  // namespace websocket::httpd
