// SPDX-License-Identifier: Apache-2.0
#include "httpd/takeover/takeover.hpp"

#include <apr_portable.h>
#include <apr_strings.h>
#include <fcntl.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_ssl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <util_filter.h>

#include <algorithm>
#include <array>
#include <new>
#include <string_view>

#include "httpd/log/log.hpp"
#include "httpd/module.hpp"
#include "httpd/process/child.hpp"
#include "httpd/process/descriptors.hpp"
#include "httpd/request_state.hpp"
#include "httpd/tunnel/tunnel_attempt.hpp"

namespace websocket::httpd {

namespace {

/// Filters that only look at HTTP, count or delay, and may be left behind. Names as httpd registers
/// them, in lower case. remoteip_input takes a PROXY header off the begin of the connection, before
/// any request can be read, holds nothing back and passes on everything from then on.
constexpr std::array<std::string_view, 7> kHarmlessFilters{
    "core_in", "core", "log_input_output", "reqtimeout", "http_in", "remoteip_input", kTunnelFilter,
};

/// mod_ssl's, whose work the engine can do.
constexpr std::string_view kTlsFilter = "ssl/tls filter";
constexpr std::string_view kTlsGatheringFilter = "ssl/tls coalescing filter";

const char* first_unknown(const ap_filter_t* filter, bool has_tls) {
    for (; filter != nullptr; filter = filter->next) {
        const std::string_view name = filter->frec->name;
        const bool is_tls = name == kTlsFilter || name == kTlsGatheringFilter;
        if (!(is_tls && has_tls) &&
            std::ranges::find(kHarmlessFilters, name) == kHarmlessFilters.end()) {
            return filter->frec->name;
        }
    }
    return nullptr;
}

ap_filter_t* tls_filter(ap_filter_t* filter) {
    while (filter != nullptr && filter->frec->name != kTlsFilter) {
        filter = filter->next;
    }
    return filter;
}

int socket_of(conn_rec* c) {
    apr_os_sock_t fd = -1;
    apr_os_sock_get(&fd, ap_get_conn_socket(c));
    return fd;
}

/// What `filter` gives at once. False when there is an end of it that is none of the stream.
bool take_input(conn_rec* c, ap_filter_t* filter, ap_input_mode_t mode, base::ByteBuffer& into) {
    constexpr apr_off_t kMax = 1 << 20;  // of AP_MODE_READBYTES; filters give what they have
    apr_bucket_brigade* bb = apr_brigade_create(c->pool, c->bucket_alloc);
    bool complete = ap_get_brigade(filter, bb, mode, APR_NONBLOCK_READ, kMax) == APR_SUCCESS;
    for (apr_bucket* bucket = APR_BRIGADE_FIRST(bb);
         complete && bucket != APR_BRIGADE_SENTINEL(bb) && !APR_BUCKET_IS_EOS(bucket) &&
         !APR_BUCKET_IS_SOCKET(bucket);
         bucket = APR_BUCKET_NEXT(bucket)) {
        const char* data = nullptr;
        apr_size_t size = 0;
        complete = apr_bucket_read(bucket, &data, &size, APR_BLOCK_READ) == APR_SUCCESS;
        into.append({reinterpret_cast<const std::uint8_t*>(data), complete ? size : 0});
    }
    apr_brigade_destroy(bb);
    return complete;
}

/// Everything that httpd has read ahead; a peer may send frames right behind its part of the handshake.
/// What is in the kernel stays for the engine.
bool take_all_early_input(conn_rec* c, TakenConnection& taken) {
    ap_filter_t* filters = c->input_filters;
    if (taken.ssl == nullptr) {
        return take_input(c, filters, AP_MODE_EXHAUSTIVE, taken.early_input);
    }
    // One read empties the buffer of mod_ssl's filter: it gives as much as fits into that. What it
    // says of the connection's state, the SSL object will say again. That one keeps what it has
    // decrypted; records that have not reached it are below the filter.
    static_cast<void>(take_input(c, filters, AP_MODE_READBYTES, taken.early_input));
    taken.tls_ended = (SSL_get_shutdown(taken.ssl.get()) & SSL_RECEIVED_SHUTDOWN) != 0;
    return take_input(c, tls_filter(filters)->next, AP_MODE_EXHAUSTIVE, taken.early_records);
}

void remove_http_filters(request_rec* r) {
    conn_rec* c = r->connection;
    ap_remove_input_filter_byhandle(r->input_filters, "http_in");
    ap_remove_input_filter_byhandle(r->input_filters, "reqtimeout");
    r->input_filters = c->input_filters;
    r->proto_input_filters = c->input_filters;
}

/// Runs when the access log has been written: with `aborted` set httpd neither writes to the
/// connection nor shuts it down, it just closes its descriptor.
apr_status_t let_go(void* connection) {
    static_cast<conn_rec*>(connection)->aborted = 1;
    return APR_SUCCESS;
}

}  // namespace

const char* filter_in_the_way(conn_rec* c) {
    const bool has_tls = tls_of(c) != nullptr && tls_filter(c->input_filters) != nullptr;
    if (const char* name = first_unknown(c->input_filters, has_tls)) {
        return name;
    }
    return first_unknown(c->output_filters, has_tls);
}

const char* obstacle(const request_rec* r) {
    if (r->connection->master != nullptr) {
        return "it is an HTTP/2 stream";
    }
    if (Child::instance()->is_forked()) {
        return "its process was forked for it";
    }
    const char* filter = filter_in_the_way(r->connection);
    return filter != nullptr ? apr_psprintf(r->pool, "of its filter \"%s\"", filter) : nullptr;
}

TransportKind transport_of(const request_rec* r) {
    if (const TunnelAttempt* attempt = attempt_of(r); attempt != nullptr && attempt->taken) {
        return TransportKind::tunnel;
    }
    if (const RequestState* state = find_state(r); state != nullptr && state->event_stream) {
        return TransportKind::sse;
    }
    if (r->connection->master != nullptr) {
        return TransportKind::h2;
    }
    if (obstacle(r) != nullptr) {
        return TransportKind::pump;
    }
    return ap_ssl_conn_is_ssl(r->connection) != 0 ? TransportKind::tls : TransportKind::tcp;
}

bool leaves_reserve(int fd) noexcept {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return false;
    }
    // The kernel gives out the lowest free number, so the number tells how many are in use.
    return static_cast<rlim_t>(fd) < descriptors_for_connections(limit.rlim_cur);
}

base::Descriptor duplicate_socket(conn_rec* c) {
    base::Descriptor duplicate(::fcntl(socket_of(c), F_DUPFD_CLOEXEC, 0));
    if (!duplicate.valid() || !leaves_reserve(duplicate.get())) {
        return {};
    }
    // httpd sets it for each connection that it accepts, and knows.
    apr_int32_t undelayed = 0;
    apr_socket_opt_get(ap_get_conn_socket(c), APR_TCP_NODELAY, &undelayed);
    if (undelayed == 0) {
        const int on = 1;
        ::setsockopt(duplicate.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    return duplicate;
}

void send_switching_protocols(request_rec* r) {
    remove_http_filters(r);
    r->status = HTTP_SWITCHING_PROTOCOLS;
    r->status_line = ap_get_status_line(r->status);
    ap_send_interim_response(r, 1);

    leave_http(r);
}

void leave_http(request_rec* r) {
    conn_rec* c = r->connection;
    remove_http_filters(r);
    c->keepalive = AP_CONN_CLOSE;
    r->eos_sent = 1;
    r->output_filters = c->output_filters;
    r->proto_output_filters = c->output_filters;
}

void take_tls(conn_rec* c, TakenConnection& taken) {
    if (SSL* ssl = tls_of(c)) {
        SSL_up_ref(ssl);
        taken.ssl.reset(ssl);
        SSL_set_mode(ssl,
                     SSL_MODE_RELEASE_BUFFERS);  // after the handshake, which is the last of httpd
    }
}

void take_early_input(conn_rec* c, TakenConnection& taken) {
    bool complete = false;
    try {
        complete = take_all_early_input(c, taken);
    } catch (const std::bad_alloc&) {
        complete = false;
    }
    if (!complete) {
        log_limited(c, APLOG_ERR, "WS0107: could not take over what was read behind the handshake");
        ::shutdown(taken.socket.get(), SHUT_RDWR);  // the engine will see and report its end
    }
}

void let_go_after(request_rec* r) {
    apr_pool_cleanup_register(r->pool, r->connection, let_go, apr_pool_cleanup_null);
}

int switch_protocols(request_rec* r, std::unique_ptr<Handover> handover) {
    conn_rec* c = r->connection;
    take_tls(c, handover->taken);
    send_switching_protocols(r);
    let_go_after(r);
    take_early_input(c, handover->taken);
    hand_over_later(c, std::move(handover));
    return OK;
}

}  // namespace websocket::httpd
