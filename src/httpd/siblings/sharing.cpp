// SPDX-License-Identifier: Apache-2.0
#include "httpd/siblings/sharing.hpp"

#include <apr_portable.h>
#include <http_connection.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>
#include <poll.h>
#include <sys/socket.h>
#include <util_filter.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <optional>
#include <string_view>
#include <utility>

#include "httpd/handshake/handler.hpp"
#include "httpd/handshake/opening_handshake.hpp"
#include "httpd/module.hpp"
#include "httpd/plain/event_stream_answer.hpp"
#include "httpd/process/child.hpp"
#include "httpd/process/mpm.hpp"
#include "httpd/siblings/arrival.hpp"
#include "httpd/siblings/prefork_pause.hpp"
#include "httpd/siblings/siblings.hpp"
#include "httpd/takeover/stop_watch.hpp"
#include "httpd/tunnel/tunnel_hooks.hpp"
#include "protocol/first_bytes.hpp"

namespace websocket::httpd {

namespace {

using protocol::Wish;
using Clock = std::chrono::steady_clock;

/// Looks at all siblings again after so many connections at the latest.
constexpr std::uint32_t kLooks = 32;
/// Handshakes of workers and guests that may be under way unseen.
constexpr std::uint32_t kMargin = 16;
/// How long a child that is nearly full waits to see what the client wants, as a worker would wait for the head of
/// its request; then the client may want a place. The same for a place in the queue.
constexpr std::chrono::milliseconds kHeadPatience{1000};

/// How many this child may have until it looks at its siblings again.
std::atomic<std::uint32_t> look_again_at{0};
std::atomic<std::uint32_t> looks_saved{0};

int descriptor_of(conn_rec* c) {
    apr_os_sock_t descriptor = -1;
    apr_os_sock_get(&descriptor, ap_get_conn_socket(c));
    return descriptor;
}

Wish peek(int socket) {
    std::array<std::uint8_t, protocol::kMaxFirstBytes> bytes;
    const ssize_t size = ::recv(socket, bytes.data(), bytes.size(), MSG_PEEK | MSG_DONTWAIT);
    if (size == 0) {
        return Wish::something_else;  // it has ended
    }
    return size > 0 ? protocol::wish_of({bytes.data(), static_cast<std::size_t>(size)})
                    : Wish::incomplete;
}

/// Polls, since a descriptor with the begin of a head is readable already.
Wish wait_for_wish(int socket) {
    const Clock::time_point limit = Clock::now() + kHeadPatience;
    constexpr int kMaxPause = 20;  // ms
    Wish wish = peek(socket);
    for (int pause = 1; wish == Wish::incomplete && Clock::now() < limit && !has_to_end();
         pause = std::min(2 * pause, kMaxPause)) {
        ::poll(nullptr, 0, pause);
        wish = peek(socket);
    }
    return wish;
}

bool is_nearly_full(const ChildLoad& load, int socket) {
    const std::uint32_t margin =
        kMargin + static_cast<std::uint32_t>(std::max(1, ask_mpm(AP_MPMQ_MAX_THREADS)));
    // In a handshake, a connection has two descriptors for a moment.
    return load.used.load() + margin >= load.capacity.load() ||
           Arrival::places_beyond(socket) < 2 * margin;
}

/// mod_remoteip has read it, and in another child would wait for it again.
bool begins_with_proxy_header(const conn_rec* c) {
    const ap_filter_t* filter = c->keepalives > 0 ? c->input_filters : nullptr;
    while (filter != nullptr && std::string_view(filter->frec->name) != "remoteip_input") {
        filter = filter->next;
    }
    return filter != nullptr;
}

/// Looks at all siblings only now and then while this child is not ahead of what it saw.
bool is_ahead(const Siblings& siblings) {
    const std::uint32_t used = siblings.used();
    if (used <= look_again_at.load() && looks_saved.fetch_add(1) < kLooks) {
        return false;
    }
    looks_saved.store(0);
    siblings.end_doubt();
    const auto least = siblings.least(Siblings::Which::waiting);
    look_again_at.store(least ? allowed_beside(*least) : used);
    const bool ahead = siblings.is_ahead_of(least);
    if (!ahead && !siblings.own().waits.load()) {
        Child::instance()->doorkeeper()->look_again();
    }
    return ahead;
}

/// httpd closes its own descriptor, and nothing else.
int let_go(conn_rec* c) {
    c->aborted = 1;
    if (c->cs != nullptr) {
        c->cs->state = CONN_STATE_LINGER;
    }
    return OK;
}

bool leave_to_sibling(conn_rec* c, int socket) {
    if (!Child::instance()->doorkeeper()->leave_to_sibling(socket)) {
        return false;
    }
    ap_log_cerror(APLOG_MARK, APLOG_TRACE1, 0, c, "left to another child");
    return true;
}

/// Here, else in a sibling: true when it is one of these. The queue may be full for a while.
bool find_place(conn_rec* c, const Siblings& siblings, int socket) {
    constexpr int kPause = 5;  // ms
    const Clock::time_point limit = Clock::now() + kHeadPatience;
    while (!has_to_end()) {
        if (auto place = Arrival::reserve(Child::instance()->host().engine, socket)) {
            Arrival::attach(c, std::move(*place));
            return false;
        }
        if (!siblings.have_room() || Clock::now() >= limit) {
            return false;
        }
        if (leave_to_sibling(c, socket)) {
            return true;
        }
        ::poll(nullptr, 0, kPause);
    }
    return false;
}

/// What has been read already, a sibling would not see.
bool is_untouched(const conn_rec* c) {
    return c->data_in_input_filters == 0 && !begins_with_proxy_header(c);
}

/// True when the client is another child's from now on.
bool share(conn_rec* c, const Siblings& siblings) {
    const int socket = descriptor_of(c);
    const bool nearly_full = is_nearly_full(siblings.own(), socket);
    // One that has been served before may be known here, so it is left to another only when it would be refused.
    const bool ahead = c->keepalives == 0 && is_ahead(siblings);
    if ((!nearly_full && !ahead) || !is_untouched(c)) {
        return false;
    }
    const Wish wish = nearly_full ? wait_for_wish(socket) : peek(socket);
    if (wish == Wish::something_else) {
        return false;
    }
    if (ahead && wish != Wish::incomplete && leave_to_sibling(c, socket)) {
        return true;
    }
    return nearly_full && find_place(c, siblings, socket);
}

/// Hook process_connection, before anybody reads; event calls it for each request of a connection.
int look_at_first_bytes(conn_rec* c) {
    const Siblings* siblings = Siblings::instance();
    if (siblings == nullptr || c->master != nullptr || Guests::is_guest() ||
        Child::instance() == nullptr || Child::instance()->doorkeeper() == nullptr) {
        return DECLINED;
    }
    return share(c, *siblings) ? let_go(c) : DECLINED;
}

/// Whether the handler that comes next may take the place. That of a tunnel stands before mod_proxy's.
bool may_take_place(const request_rec* r) {
    const bool ours = r->handler != nullptr && r->handler == kHandlerName;
    return ours ? wants_upgrade(r) || wants_event_stream(r) : may_become_tunnel(r);
}

/// Hook insert_filter, before a response begins, which may take as long as its client likes. A page may be put
/// together from others.
void give_place_back_before_response(request_rec* r) {
    if (r->main == nullptr && !may_take_place(r)) {
        Arrival::give_back(r->connection);
    }
}

/// Hook log_transaction: also of what was refused before it had a handler.
int end_request(request_rec* r) {
    Arrival::give_back(r->connection);
    Guests::end_request(r->connection);
    return DECLINED;
}

}  // namespace

void register_sharing() {
    ap_hook_pre_connection(show_life, nullptr, nullptr, APR_HOOK_FIRST);
    ap_hook_process_connection(look_at_first_bytes, nullptr, nullptr, APR_HOOK_REALLY_FIRST);
    ap_hook_insert_filter(give_place_back_before_response, nullptr, nullptr, APR_HOOK_FIRST);
    ap_hook_log_transaction(end_request, nullptr, nullptr, APR_HOOK_MIDDLE);
}

}  // namespace websocket::httpd
