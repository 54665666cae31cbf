// SPDX-License-Identifier: Apache-2.0
#include "httpd/takeover/handover.hpp"

#include <apr_portable.h>
#include <http_config.h>
#include <http_connection.h>
#include <http_core.h>
#include <http_log.h>
#include <http_ssl.h>
#include <mod_ssl_openssl.h>
#include <openssl/crypto.h>
#include <util_filter.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <new>
#include <string_view>

#include "httpd/log/log.hpp"
#include "httpd/module.hpp"
#include "httpd/siblings/prefork_pause.hpp"
#include "httpd/takeover/takeover.hpp"

namespace websocket::httpd {

namespace {

/// In the pool of every connection, those to backends of mod_proxy included.
struct Connection {
    conn_rec* c;
    SSL* ssl;                              ///< mod_ssl's
    std::shared_ptr<Successor> successor;  ///< null until there is one
    /// Null unless it holds a thread. Streams of HTTP/2, on threads of their own, may set it.
    std::atomic<HeldSockets::Hold*> hold;
};

/// Whether mod_ssl and this module are linked with the same OpenSSL, so that an SSL object of the
/// one means something to the other. Written while httpd starts, read by its children.
bool same_openssl = true;

Connection* find(const conn_rec* c) {
    return static_cast<Connection*>(ap_get_module_config(c->conn_config, &websocket_module));
}

/// Runs after all that other modules have registered for the end of the connection, as it was
/// registered first: mod_ssl has dropped its reference to the SSL object.
apr_status_t hand_over(void* data) {
    auto& connection = *static_cast<Connection*>(data);
    if (HeldSockets::Hold* hold = connection.hold.load()) {
        HeldSockets::let_go(*hold);
    }
    const auto successor = std::move(connection.successor);
    if (successor != nullptr && successor.use_count() == 1) {
        successor->take_over(connection.c);
    }
    const bool from_client = connection.c->outgoing == 0;
    std::destroy_at(&connection);
    if (from_client) {
        wait_until_needed();
    }
    return APR_SUCCESS;
}

int begin_connection(conn_rec* c, void* /*socket*/) {
    if (c->master == nullptr) {
        auto* connection = new (apr_palloc(c->pool, sizeof(Connection))) Connection{};
        connection->c = c;
        ap_set_module_config(c->conn_config, &websocket_module, connection);
        apr_pool_cleanup_register(c->pool, connection, hand_over, apr_pool_cleanup_null);
    }
    return DECLINED;
}

int begin_tls(conn_rec* c, SSL* ssl, int /*is_proxy*/) {
    if (Connection* connection = find(c)) {
        connection->ssl = ssl;
    }
    return DECLINED;
}

/// Before httpd ends a connection. Not all of it has been taken by then when it waits for another one.
int end_connection(conn_rec* c) {
    const Connection* connection = find(c);
    if (connection != nullptr && connection->successor != nullptr && tls_of(c) != nullptr) {
        end_tls(c);
    }
    return DECLINED;
}

/// "3.0.19" of "OpenSSL 3.0.19 27 Jan 2026", and of "OpenSSL/3.0.19", as mod_ssl says it.
std::string_view version_of(std::string_view library) {
    library.remove_prefix(std::min(library.find_first_of(" /") + 1, library.size()));
    return library.substr(0, library.find(' '));
}

int compare_openssl(apr_pool_t* /*pconf*/, apr_pool_t* /*plog*/, apr_pool_t* pool,
                    server_rec* server) {
    const char* theirs = ap_ssl_var_lookup(pool, server, nullptr, nullptr, "SSL_VERSION_LIBRARY");
    const char* ours = OpenSSL_version(OPENSSL_VERSION);
    same_openssl = theirs == nullptr || *theirs == '\0' || version_of(theirs) == version_of(ours);
    if (!same_openssl) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, server,
                     "WS0110: mod_ssl uses %s and mod_websocket %s: each WebSocket over TLS will "
                     "hold a thread",
                     theirs, ours);
    }
    return OK;
}

}  // namespace

void register_connection_hooks() {
    ap_hook_post_config(compare_openssl, nullptr, nullptr, APR_HOOK_LAST);
    ap_hook_pre_connection(begin_connection, nullptr, nullptr, APR_HOOK_REALLY_FIRST);
    APR_OPTIONAL_HOOK(ssl, pre_handshake, begin_tls, nullptr, nullptr, APR_HOOK_MIDDLE);
    ap_hook_pre_close_connection(end_connection, nullptr, nullptr, APR_HOOK_MIDDLE);
}

bool hold_socket(conn_rec* c, HeldSockets& sockets) noexcept {
    conn_rec* whole = c->master != nullptr ? c->master : c;
    Connection* connection = find(whole);
    if (connection == nullptr || connection->hold.load() != nullptr) {
        return connection != nullptr;
    }
    apr_os_sock_t socket = -1;
    apr_os_sock_get(&socket, ap_get_conn_socket(whole));
    HeldSockets::Hold* hold = sockets.hold(socket, leaves_reserve);
    HeldSockets::Hold* none = nullptr;
    if (hold != nullptr && !connection->hold.compare_exchange_strong(none, hold)) {
        HeldSockets::let_go(*hold);  // another stream was faster
    }
    return hold != nullptr;
}

SSL* tls_of(conn_rec* c) {
    const Connection* connection = find(c);
    // mod_ssl frees its SSL object and goes on without when a client speaks plain HTTP.
    const bool usable = connection != nullptr && same_openssl && ap_ssl_conn_is_ssl(c) != 0;
    return usable ? connection->ssl : nullptr;
}

net::AnyTransport make_transport(TakenConnection& taken) {
    if (taken.ssl == nullptr) {
        return {std::move(taken.socket)};
    }
    // mod_ssl has marked it as shut down.
    SSL_set_shutdown(taken.ssl.get(), taken.tls_ended ? SSL_RECEIVED_SHUTDOWN : 0);
    return std::make_unique<net::TlsTransport>(std::move(taken.ssl), std::move(taken.socket),
                                               std::move(taken.early_records));
}

void Handover::take_over(conn_rec* c) noexcept {
    net::AnyTransport transport;
    try {
        transport = make_transport(taken);
    } catch (const std::bad_alloc&) {
        log_limited(c, APLOG_ERR, "WS0301: out of memory, closing one connection");
        const auto abnormal = static_cast<std::uint16_t>(protocol::CloseCode::abnormal);
        session.release()->on_close({abnormal, false});
        return;
    }
    engine_.adopt(std::move(place), std::move(transport), std::move(session), options_, version_,
                  std::move(taken.early_input));
}

void hand_over_later(conn_rec* c, std::shared_ptr<Successor> successor) {
    find(c)->successor = std::move(successor);
}

/// mod_ssl frees what it holds, a certificate of the client, say, when it is told that the connection ends,
/// but not in silence, and not on a connection that is marked as broken.
void end_tls(conn_rec* c) noexcept {
    SSL_set_quiet_shutdown(find(c)->ssl, 1);
    apr_bucket_brigade* bb = apr_brigade_create(c->pool, c->bucket_alloc);
    APR_BRIGADE_INSERT_TAIL(bb, ap_bucket_eoc_create(c->bucket_alloc));
    c->aborted = 0;
    ap_pass_brigade(c->output_filters, bb);
    c->aborted = 1;
    apr_brigade_destroy(bb);
}

}  // namespace websocket::httpd
