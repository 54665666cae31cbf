// SPDX-License-Identifier: Apache-2.0
#include "httpd/tunnel/stays_with_httpd.hpp"

#include <http_config.h>
#include <http_log.h>

#include <atomic>

#include "httpd/log/log.hpp"
#include "httpd/module.hpp"

namespace websocket::httpd {

namespace {

const char* text_of(StaysBecause why) noexcept {
    switch (why) {
        case StaysBecause::http2: return "its client speaks HTTP/2";
        case StaysBecause::forked: return "its process was forked for it";
        case StaysBecause::old_httpd: return "httpd is older than 2.4.52";
        case StaysBecause::no_proxy_http:
            return "mod_proxy_wstunnel serves it: mod_proxy_http has to be loaded, and "
                   "ProxyWebsocketFallbackToProxyHttp must not be Off";
        case StaysBecause::filter: return "of a filter: ";
        case StaysBecause::threads:
            return "no event loop can serve it: all hang (see WS0306), or threads, descriptors or "
                   "memory are missing";
        case StaysBecause::descriptors: return "there are no descriptors left (see ulimit -n)";
        case StaysBecause::memory: break;
    }
    return "there is no memory";
}

}  // namespace

void stays_with_httpd(const request_rec* r, StaysBecause why, const char* detail) noexcept {
    static std::atomic<unsigned> said{0};
    const unsigned bit = 1U << static_cast<unsigned>(why);
    if ((said.fetch_or(bit) & bit) == 0) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r,
                      "WS0151: tunnels such as that of %s stay with httpd, where each holds a "
                      "thread, because %s%s; this is said once",
                      printable(r->pool, r->uri), text_of(why), detail);
    }
}

}  // namespace websocket::httpd
