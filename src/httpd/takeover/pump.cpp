// SPDX-License-Identifier: Apache-2.0
#include "httpd/takeover/pump.hpp"

#include <http_config.h>
#include <http_log.h>
#include <http_protocol.h>
#include <mpm_common.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <utility>

#include "httpd/config/config.hpp"
#include "httpd/log/log.hpp"
#include "httpd/module.hpp"
#include "httpd/request_state.hpp"
#include "httpd/takeover/relay.hpp"
#include "httpd/takeover/stop_watch.hpp"

namespace websocket::httpd {

namespace {

/// What waits between the engine and the relay, each way; the kernel counts its overhead, too.
constexpr int kSocketBuffer = 64 << 10;

bool make_ends(Pump& pump) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
        return false;
    }
    pump.relay_end = base::Descriptor(ends[0]);
    pump.engine_end = base::Descriptor(ends[1]);
    for (const int end : ends) {
        ::setsockopt(end, SOL_SOCKET, SO_SNDBUF, &kSocketBuffer, sizeof kSocketBuffer);
    }
    return leaves_reserve(ends[0]) && leaves_reserve(ends[1]);
}

/// Name of the request's note that its stream has ended as it should.
constexpr const char* kEndedWell = "websocket-ended-well";

/// mod_http2 takes a stream that both sides have closed for aborted, at any time after the server's end;
/// the access log would show it.
int show_end(request_rec* r) {
    if (apr_table_get(r->notes, kEndedWell) != nullptr) {
        r->connection->aborted = 0;
    }
    return DECLINED;
}

void reap_slots_of_child(server_rec* server, pid_t child, ap_generation_t /*generation*/,
                         int /*slot*/, mpm_child_status status) {
    if (status == MPM_CHILD_EXITED) {
        process_config(server).pump_slots.reap(child);
    }
}

}  // namespace

void register_pump() {
    ap_hook_log_transaction(show_end, nullptr, nullptr, APR_HOOK_REALLY_FIRST);
    ap_hook_child_status(reap_slots_of_child, nullptr, nullptr, APR_HOOK_MIDDLE);
}

int prepare_pump(const request_rec* r, Child& child, const char* obstacle,
                 std::optional<Pump>& into) {
    if (!FilterStream::possible(r)) {
        log_limited(
            r, APLOG_ERR,
            "WS0120: %s refused with 501: this httpd has no way to wait for an HTTP/2 stream",
            wanted_connection(r));
        return HTTP_NOT_IMPLEMENTED;
    }
    auto slot = child.pump_slots().take();
    if (!slot) {
        log_limited(r, APLOG_ERR,
                    "WS0121: %s refused with 503: %u connections "
                    "(WebSocketMaxPumped) hold a thread already, and so would this one because %s",
                    wanted_connection(r), child.pump_slots().count(), obstacle);
        return HTTP_SERVICE_UNAVAILABLE;
    }
    into.emplace(Pump{std::move(*slot), {}, {}});
    if (!make_ends(*into) || !hold_socket(r->connection, child.held_sockets())) {
        log_limited(r, APLOG_ERR, "WS0122: %s refused with 503: out of descriptors (see ulimit -n)",
                    wanted_connection(r));
        return HTTP_SERVICE_UNAVAILABLE;
    }
    ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r,
                  "WS0123: this connection holds a thread because %s", obstacle);
    return OK;
}

int run_pump(request_rec* r, Child& child, Pump pump, std::unique_ptr<Handover> handover) {
    send_switching_protocols(r);
    handover->take_over(r->connection);
    handover.reset();
    FilterStream client(r, FilterStream::Use::tunnel);
    return relay(r, child, std::move(pump), client);
}

int relay(request_rec* r, Child& child, Pump pump, FilterStream& client) {
    conn_rec* c = r->connection;
    bool ended = false;
    {
        StopWatch watch;
        const auto patience = std::chrono::milliseconds(apr_time_as_msec(r->server->timeout));
        ended = Relay(client, pump.relay_end.get(), watch, patience).run();
    }
    if (!ended) {
        c->aborted = 1;
    } else if (c->master != nullptr) {
        apr_table_setn(r->notes, kEndedWell, "");
    }
    if (child.is_forked()) {
        pump.relay_end = {};  // the engine's end of the connection
        child.leave();        // the process ends without telling anybody
    }
    r->eos_sent = 1;
    r->sent_bodyct = 1;  // so that the access log shows them
    return OK;
}

}  // namespace websocket::httpd
