// SPDX-License-Identifier: Apache-2.0
#include "httpd/process/stop_signals.hpp"

#include <mpm_common.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <new>
#include <system_error>

#include "shm/mapping.hpp"

namespace websocket::httpd {

namespace {

// A signal handler gets no argument of ours.
std::atomic<void (*)() noexcept> stop_callback{nullptr};
std::atomic<bool> own_graceful_came{false};
std::atomic<std::atomic<bool>*> graceful_came{&own_graceful_came};
static_assert(std::atomic<bool>::is_always_lock_free, "it is shared between processes");
struct sigaction httpds_graceful_action {};
bool watches_graceful_signal = false;

// event and worker wake their main thread with a SIGTERM of their own.
void on_stop_signal(int /*number*/, siginfo_t* info, void* /*context*/) {
    const int saved = errno;
    if (info->si_pid != ::getpid()) {
        stop_callback.load()();
    }
    errno = saved;
}

void on_graceful_signal(int number) {
    graceful_came.load()->store(true);
    httpds_graceful_action.sa_handler(number);
}

}  // namespace

bool in_stop_signal_handler() noexcept {
    sigset_t blocked;
    sigemptyset(&blocked);
    pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
    return sigismember(&blocked, SIGTERM) == 1 || sigismember(&blocked, SIGHUP) == 1;
}

bool read_handler(int number, struct sigaction& action) noexcept {
    return ::sigaction(number, nullptr, &action) == 0 && (action.sa_flags & SA_SIGINFO) == 0 &&
           action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN;
}

void watch_for_stop(void (*on_stop)() noexcept, bool prefork) noexcept {
    stop_callback.store(on_stop);
    struct sigaction action {};
    action.sa_sigaction = on_stop_signal;
    action.sa_flags = SA_SIGINFO;  // no SA_RESTART: httpd's main thread wants to be woken
    sigemptyset(&action.sa_mask);
    ::sigaction(SIGTERM, &action, nullptr);
    if (prefork) {  // elsewhere SIGHUP belongs to the listener thread
        ::sigaction(SIGHUP, &action, nullptr);
    }
}

void watch_for_graceful_signal() noexcept {
    std::error_code refused;
    shm::Mapping shared(sizeof(std::atomic<bool>), shm::Mapping::For::all_processes, refused);
    if (shared.valid()) {
        graceful_came.store(new (shared.release()) std::atomic<bool>(false));
    }
    struct sigaction action {};
    if (!read_handler(AP_SIG_GRACEFUL, httpds_graceful_action)) {
        return;
    }
    action = httpds_graceful_action;
    action.sa_handler = on_graceful_signal;
    watches_graceful_signal = ::sigaction(AP_SIG_GRACEFUL, &action, nullptr) == 0;
}

bool call_httpds_graceful_handler() noexcept {
    if (!watches_graceful_signal) {
        return false;
    }
    httpds_graceful_action.sa_handler(AP_SIG_GRACEFUL);
    return true;
}

bool graceful_signal_came() noexcept { return graceful_came.load()->load(); }

}  // namespace websocket::httpd
