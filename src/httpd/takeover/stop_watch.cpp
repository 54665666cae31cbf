// SPDX-License-Identifier: Apache-2.0
#include "httpd/takeover/stop_watch.hpp"

#include <httpd.h>
#include <scoreboard.h>
#include <sys/signalfd.h>

#include "httpd/process/child.hpp"
#include "httpd/process/mpm.hpp"
#include "httpd/process/stop_signals.hpp"

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

bool mpm_is_stopping() { return ask_mpm(AP_MPMQ_MPM_STATE) == AP_MPMQ_STOPPING; }

/// A restart whose signal came before this child could listen to it.
bool is_of_an_old_generation() {
    return ap_scoreboard_image != nullptr &&
           ask_mpm(AP_MPMQ_GENERATION) != ap_scoreboard_image->global->running_generation;
}

}  // namespace

// Where a process is forked for each connection (mpm_itk), the one that it comes from gets the signal.
bool has_to_end() noexcept {
    return mpm_is_stopping() || is_of_an_old_generation() || graceful_signal_came();
}

bool stop_signal_waits() noexcept {
    sigset_t waiting;
    return sigpending(&waiting) == 0 &&
           (sigismember(&waiting, SIGTERM) == 1 || sigismember(&waiting, SIGHUP) == 1);
}

StopWatch::StopWatch() noexcept : only_thread_(is_prefork()) {
    if (!only_thread_) {
        return;
    }
    const sigset_t deadly = deadly_signals();
    signals_ = base::Descriptor(::signalfd(-1, &deadly, SFD_CLOEXEC | SFD_NONBLOCK));
    if (signals_.valid()) {
        pthread_sigmask(SIG_BLOCK, &deadly, &before_);
    }
}

void StopWatch::release_signals() noexcept {
    if (signals_.valid()) {
        signals_ = base::Descriptor();
        pthread_sigmask(SIG_SETMASK, &before_, nullptr);  // may not return
    }
}

bool StopWatch::look() noexcept {
    if (stopping_) {
        return true;
    }
    if (!only_thread_) {
        stopping_ = mpm_is_stopping();
    } else if (signal_waits()) {
        stopping_ = true;
        Child::stopping(nullptr, 0);
    } else if (has_to_end()) {
        stopping_ = true;
        release_signals();  // from now on clients are being told anyway
        Child::stopping(nullptr, 1);
    }
    return stopping_;
}

bool StopWatch::signal_waits() const noexcept { return signals_.valid() && stop_signal_waits(); }

}  // namespace websocket::httpd
