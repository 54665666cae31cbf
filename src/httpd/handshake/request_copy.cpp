// SPDX-License-Identifier: Apache-2.0
#include "httpd/handshake/request_copy.hpp"

#include <apr_strings.h>
#include <http_config.h>
#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>

#include "httpd/handshake/request_snapshot.hpp"

namespace websocket::httpd {

namespace {

/// A root pool whose memory goes back to the system with it. Its allocator has a lock, because
/// plugins make sub-pools for threads of theirs.
apr_pool_t* make_root_pool() {
    apr_allocator_t* allocator = nullptr;
    if (apr_allocator_create(&allocator) != APR_SUCCESS) {
        return nullptr;
    }
    apr_pool_t* pool = nullptr;
    if (apr_pool_create_unmanaged_ex(&pool, nullptr, allocator) != APR_SUCCESS) {
        apr_allocator_destroy(allocator);
        return nullptr;
    }
    apr_allocator_owner_set(allocator, pool);
    apr_thread_mutex_t* mutex = nullptr;
    if (apr_thread_mutex_create(&mutex, APR_THREAD_MUTEX_DEFAULT, pool) != APR_SUCCESS) {
        apr_pool_destroy(pool);
        return nullptr;
    }
    apr_allocator_mutex_set(allocator, mutex);
    apr_pool_tag(pool, "websocket request");
    return pool;
}

apr_sockaddr_t* make_address(apr_pool_t* pool, const char* ip, apr_port_t port) {
    apr_sockaddr_t* address = nullptr;
    if (ip == nullptr ||
        apr_sockaddr_info_get(&address, ip, APR_UNSPEC, port, 0, pool) != APR_SUCCESS) {
        return nullptr;
    }
    return address;
}

conn_rec* copy_connection(const RequestSnapshot& snapshot, apr_pool_t* pool) {
    auto* c = static_cast<conn_rec*>(apr_pcalloc(pool, sizeof(conn_rec)));
    c->pool = pool;
    c->base_server = snapshot.server();
    c->client_ip = apr_pstrdup(pool, snapshot.field(RequestSnapshot::client_ip));
    c->client_addr = make_address(pool, c->client_ip, snapshot.client_port());
    c->local_ip = apr_pstrdup(pool, snapshot.field(RequestSnapshot::local_ip));
    c->local_addr = make_address(pool, c->local_ip, snapshot.local_port());
    c->conn_config = ap_create_conn_config(pool);
    c->notes = apr_table_make(pool, 5);
    c->keepalive = AP_CONN_CLOSE;
    c->keepalives = 1;
    return c;
}

void copy_request_line(const RequestSnapshot& snapshot, request_rec* r) {
    const auto text = [&](RequestSnapshot::Field field) {
        return apr_pstrdup(r->pool, snapshot.field(field));
    };
    r->method = "GET";
    r->method_number = M_GET;
    r->allowed_methods = ap_make_method_list(r->pool, 2);
    r->proto_num = snapshot.proto_num();
    r->protocol =
        const_cast<char*>(HTTP_VERSION_MAJOR(r->proto_num) == 2 ? "HTTP/2.0" : "HTTP/1.1");
    r->unparsed_uri = text(RequestSnapshot::unparsed_uri);
    r->uri = text(RequestSnapshot::uri);
    if (r->uri == nullptr) {
        r->uri = r->unparsed_uri;
    }
    r->the_request = apr_pstrcat(r->pool, "GET ", r->unparsed_uri, " ", r->protocol, nullptr);
    apr_uri_parse(r->pool, r->unparsed_uri, &r->parsed_uri);
    r->args = text(RequestSnapshot::args);
    r->filename = text(RequestSnapshot::filename);
    if (r->filename == nullptr) {
        r->filename = apr_pstrcat(r->pool, document_root(r->server), r->uri, nullptr);
    }
    r->canonical_filename = r->filename;
    r->path_info = text(RequestSnapshot::path_info);
    r->hostname = text(RequestSnapshot::hostname);
    r->user = text(RequestSnapshot::user);
    r->ap_auth_type = text(RequestSnapshot::auth_type);
    r->handler = "websocket-handler";
}

}  // namespace

const char* document_root(const server_rec* server) {
    const auto* config =
        static_cast<const core_server_config*>(ap_get_core_module_config(server->module_config));
    return config->ap_document_root != nullptr ? config->ap_document_root : "";
}

request_rec* copy_request(const RequestSnapshot& snapshot, const request_rec* real) {
    apr_pool_t* pool = make_root_pool();
    if (pool == nullptr) {
        return nullptr;
    }
    auto* r = static_cast<request_rec*>(apr_pcalloc(pool, sizeof(request_rec)));
    r->pool = pool;
    r->connection = copy_connection(snapshot, pool);
    r->server = snapshot.server();
    r->per_dir_config = r->server->lookup_defaults;
    r->request_config = ap_create_request_config(pool);
    r->request_time = real != nullptr ? real->request_time : apr_time_now();
    copy_request_line(snapshot, r);

    const char* ip = snapshot.field(RequestSnapshot::useragent_ip);
    r->useragent_ip = ip != nullptr ? apr_pstrdup(pool, ip) : r->connection->client_ip;
    r->useragent_addr = make_address(pool, r->useragent_ip, snapshot.useragent_port());
    r->headers_in = apr_table_make(pool, 16);
    r->subprocess_env = apr_table_make(pool, 16);
    snapshot.copy_tables_to(r->headers_in, r->subprocess_env);
    r->headers_out =
        real != nullptr ? apr_table_clone(pool, real->headers_out) : apr_table_make(pool, 4);
    r->err_headers_out = apr_table_make(pool, 4);
    r->trailers_in = apr_table_make(pool, 1);
    r->trailers_out = apr_table_make(pool, 1);
    r->notes = real != nullptr ? apr_table_clone(pool, real->notes) : apr_table_make(pool, 4);
    r->status = HTTP_SWITCHING_PROTOCOLS;
    r->status_line = ap_get_status_line(r->status);
    r->read_body = REQUEST_NO_BODY;
    r->no_cache = 1;
    return r;
}

}  // namespace websocket::httpd
