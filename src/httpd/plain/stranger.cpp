// SPDX-License-Identifier: Apache-2.0
#include "httpd/plain/stranger.hpp"

#include <apr_network_io.h>
#include <http_core.h>
#include <http_log.h>
#include <http_request.h>

namespace websocket::httpd {

namespace {

/// TEST-NET-1 of RFC 5737: in no list of addresses that somebody trusts, and not this machine.
constexpr const char* kNobody = "192.0.2.1";

/// Says nothing: a refusal of nobody is no news.
ap_logconf* silent_log(apr_pool_t* pool) {
    auto* log = static_cast<ap_logconf*>(apr_pcalloc(pool, sizeof(ap_logconf)));
    log->level = APLOG_EMERG;
    return log;
}

bool make_stranger(const request_rec& from, request_rec& stranger) {
    apr_pool_t* pool = from.pool;
    stranger = from;
    stranger.user = nullptr;
    stranger.ap_auth_type = nullptr;
    stranger.headers_in = apr_table_make(pool, 1);
    stranger.headers_out = apr_table_make(pool, 1);
    stranger.err_headers_out = apr_table_make(pool, 1);
    stranger.subprocess_env = apr_table_make(pool, 1);
    stranger.notes = apr_table_make(pool, 1);
    stranger.useragent_ip = const_cast<char*>(kNobody);
    stranger.useragent_host =
        const_cast<char*>("");  // known to have no name: nobody is asked for it
    stranger.log = silent_log(pool);
    return apr_sockaddr_info_get(&stranger.useragent_addr, kNobody, APR_INET, 0, 0, pool) ==
           APR_SUCCESS;
}

}  // namespace

/// As ap_process_request_internal() asks, up to where it would ask for a password.
bool admits_strangers(request_rec* r) {
    request_rec stranger;
    if (!make_stranger(*r, stranger)) {
        return true;  // out of memory: the careful answer
    }
    const bool any = ap_satisfies(&stranger) == SATISFY_ANY;
    const bool by_address = ap_run_access_checker(&stranger) == OK;
    if (any && by_address) {
        return true;
    }
    return (any || by_address) && ap_run_access_checker_ex(&stranger) == OK;
}

}  // namespace websocket::httpd
