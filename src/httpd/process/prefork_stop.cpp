// SPDX-License-Identifier: Apache-2.0
#include "httpd/process/prefork_stop.hpp"

#include <httpd.h>

#include <http_connection.h>
#include <mpm_common.h>

#include <cerrno>
#include <csignal>
#include <ctime>

#include "httpd/process/scoreboard.hpp"
#include "httpd/process/stop_signals.hpp"

namespace websocket::httpd {

namespace {

void (*call_on_stop)() noexcept = nullptr;
const Scoreboard* own_scoreboard = nullptr;
struct sigaction httpds_term {};
struct sigaction httpds_hangup {};
timer_t grace{};

// The main thread's own, which its signal handler reads.
volatile std::sig_atomic_t has_connection = 0;
volatile std::sig_atomic_t told = 0;

/// httpd allocates nothing from the moment at which it says so to the one at which the next connection is made.
bool waits_for_connection() noexcept {
    return has_connection == 0 && own_scoreboard->shows_waiting();
}

/// False when nothing would end the child later: its timer stays behind where a process is forked for each connection.
bool let_finish() noexcept {
    call_on_stop();
    if (told != 0) {
        return true;
    }
    itimerspec once{};
    once.it_value = {kStopGrace / 1000, kStopGrace % 1000 * 1000000L};
    if (::timer_settime(grace, 0, &once, nullptr) != 0) {
        return false;
    }
    told = 1;
    return call_httpds_graceful_handler();  // the next look of httpd's loop is its last
}

void on_deadly_signal(int number, siginfo_t* info, void* /*context*/) {
    const int saved = errno;
    if (info->si_code == SI_TIMER || waits_for_connection() || !let_finish()) {
        (number == SIGHUP ? httpds_hangup : httpds_term).sa_handler(number);  // does not return
    }
    errno = saved;
}

apr_status_t lose_connection(void* /*nothing*/) {
    has_connection = 0;
    return APR_SUCCESS;
}

/// Those to the backends of a proxy come and go while there is one.
conn_rec* note_connection(apr_pool_t* pool, server_rec* /*server*/, apr_socket_t* /*socket*/,
                          long /*id*/, void* /*scoreboard*/, apr_bucket_alloc_t* /*buckets*/) {
    if (call_on_stop != nullptr && has_connection == 0) {
        has_connection = 1;
        apr_pool_cleanup_register(pool, nullptr, lose_connection, apr_pool_cleanup_null);
    }
    return nullptr;  // it is made by somebody else
}

}  // namespace

void let_main_thread_finish(void (*on_stop)() noexcept, const Scoreboard& scoreboard) noexcept {
    sigevent event{};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGTERM;  // other threads of this module block it
    if (!read_handler(SIGTERM, httpds_term) || !read_handler(SIGHUP, httpds_hangup) ||
        ::timer_create(CLOCK_MONOTONIC, &event, &grace) != 0) {
        return;
    }
    call_on_stop = on_stop;
    own_scoreboard = &scoreboard;
    struct sigaction action {};
    action.sa_sigaction = on_deadly_signal;
    action.sa_flags = SA_SIGINFO;  // no SA_RESTART: what httpd waits for ends
    action.sa_mask = httpds_term.sa_mask;
    sigaddset(&action.sa_mask, SIGTERM);
    sigaddset(&action.sa_mask, SIGHUP);
    ::sigaction(SIGTERM, &action, nullptr);
    ::sigaction(SIGHUP, &action, nullptr);
}

void register_prefork_stop() {
    ap_hook_create_connection(note_connection, nullptr, nullptr, APR_HOOK_REALLY_FIRST);
}

}  // namespace websocket::httpd
