// SPDX-License-Identifier: Apache-2.0
#include "httpd/stop_watch.hpp"

#include <ap_mpm.h>
#include <scoreboard.h>
#include <sys/signalfd.h>

namespace websocket::httpd {

namespace {

/// What prefork answers with an immediate exit, from within the signal handler.
sigset_t deadly_signals() {
    sigset_t deadly;
    sigemptyset(&deadly);
    sigaddset(&deadly, SIGTERM);
    sigaddset(&deadly, SIGHUP);
    return deadly;
}

bool is_threaded() {
    int threaded = AP_MPMQ_NOT_SUPPORTED;
    ap_mpm_query(AP_MPMQ_IS_THREADED, &threaded);
    return threaded != AP_MPMQ_NOT_SUPPORTED;
}

}  // namespace

StopWatch::StopWatch(Child& child) noexcept : child_(child) {
    if (is_threaded()) {
        return;  // child_stopping is called on a thread of its own
    }
    const sigset_t deadly = deadly_signals();
    signals_ = engine::Descriptor(::signalfd(-1, &deadly, SFD_CLOEXEC | SFD_NONBLOCK));
    if (signals_.valid()) {
        pthread_sigmask(SIG_BLOCK, &deadly, &before_);
    }
}

StopWatch::~StopWatch() {
    if (signals_.valid()) {
        signals_ = engine::Descriptor();
        pthread_sigmask(SIG_SETMASK, &before_, nullptr);  // may not return
    }
}

bool StopWatch::look() noexcept {
    if (!stopping_ && must_stop()) {
        stopping_ = true;
        child_.begin_stop();
    }
    return stopping_;
}

bool StopWatch::must_stop() const noexcept {
    int state = AP_MPMQ_RUNNING;
    if (ap_mpm_query(AP_MPMQ_MPM_STATE, &state) == APR_SUCCESS && state == AP_MPMQ_STOPPING) {
        return true;
    }
    int generation = 0;
    if (ap_mpm_query(AP_MPMQ_GENERATION, &generation) == APR_SUCCESS &&
        ap_scoreboard_image != nullptr &&
        generation != ap_scoreboard_image->global->running_generation) {
        return true;
    }
    sigset_t waiting;
    return signals_.valid() && sigpending(&waiting) == 0 &&
           (sigismember(&waiting, SIGTERM) == 1 || sigismember(&waiting, SIGHUP) == 1);
}

}  // namespace websocket::httpd
