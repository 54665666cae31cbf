// SPDX-License-Identifier: Apache-2.0
#include "httpd/plain/stranger.hpp"

#include <apr_network_io.h>
#include <http_core.h>
#include <http_log.h>
#include <http_request.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string_view>

namespace websocket::httpd {

namespace {

/// Ordinary addresses of the Internet, in different networks and of different registries: in no list of those
/// that cannot be, as an address of RFC 5737 would be. They belong to name servers, which ask for no pages,
/// so in no list of those that somebody trusts either.
constexpr std::array kAddresses{
    "9.9.9.9",         // Quad9
    "193.0.14.129",    // k.root-servers.net
    "202.12.27.33",    // m.root-servers.net
    "2001:7fd::1",     // k.root-servers.net
    "2001:500:2f::f",  // f.root-servers.net
};

/// Says nothing: a refusal of nobody is no news.
ap_logconf* silent_log(apr_pool_t* pool) {
    auto* log = static_cast<ap_logconf*>(apr_pcalloc(pool, sizeof(ap_logconf)));
    log->level = APLOG_EMERG;
    return log;
}

bool make_stranger(const request_rec& from, const char* address, request_rec& stranger) {
    apr_pool_t* pool = from.pool;
    stranger = from;
    stranger.user = nullptr;
    stranger.ap_auth_type = nullptr;
    stranger.headers_in = apr_table_make(pool, 1);
    if (const char* host = apr_table_get(from.headers_in, "Host")) {
        apr_table_setn(stranger.headers_in, "Host", host);
    }
    stranger.headers_out = apr_table_make(pool, 1);
    stranger.err_headers_out = apr_table_make(pool, 1);
    stranger.subprocess_env = apr_table_make(pool, 1);
    stranger.notes = apr_table_make(pool, 1);
    stranger.useragent_ip = const_cast<char*>(address);
    stranger.useragent_host =
        const_cast<char*>("");  // known to have no name: nobody is asked for it
    stranger.log = silent_log(pool);
    const bool is_ipv6 = std::string_view(address).find(':') != std::string_view::npos;
    return apr_sockaddr_info_get(&stranger.useragent_addr, address, is_ipv6 ? APR_INET6 : APR_INET,
                                 0, 0, pool) == APR_SUCCESS;
}

/// What one module's hook says; OK where it is not loaded. Those of other modules may count whom they
/// are asked about, log him or shut him out: they are not asked about somebody who is not there.
template <class Link>
int ask(const apr_array_header_t* hooks, std::string_view module, request_rec* r) {
    if (hooks == nullptr) {
        return OK;
    }
    const std::span links(reinterpret_cast<const Link*>(hooks->elts),
                          static_cast<std::size_t>(hooks->nelts));
    const auto found = std::ranges::find_if(links, [module](const Link& link) {
        return link.szName != nullptr && module == link.szName;
    });
    return found != links.end() ? found->pFunc(r) : OK;
}

/// As ap_process_request_internal() asks, up to where it would ask for a password.
bool admits(request_rec& stranger) {
    const bool any = ap_satisfies(&stranger) == SATISFY_ANY;
    const bool by_order = ask<ap_LINK_access_checker_t>(ap_hook_get_access_checker(),
                                                        "mod_access_compat.c", &stranger) == OK;
    if (any && by_order) {
        return true;
    }
    return (any || by_order) &&
           ask<ap_LINK_access_checker_ex_t>(ap_hook_get_access_checker_ex(), "mod_authz_core.c",
                                            &stranger) == OK;
}

}  // namespace

bool admits_strangers(request_rec* r) {
    return std::ranges::any_of(kAddresses, [r](const char* address) {
        request_rec stranger;
        // Out of memory: the careful answer.
        return !make_stranger(*r, address, stranger) || admits(stranger);
    });
}

}  // namespace websocket::httpd
