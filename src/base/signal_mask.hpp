// SPDX-License-Identifier: Apache-2.0
// Threads of ours never handle a signal: the MPM's threads do.
#pragma once

#include <csignal>

namespace websocket::base {

/// Blocks every signal on this thread while it lives, but those that tell of a crash, for which
/// httpd has a handler; threads created meanwhile inherit that.
class SignalsBlocked {
public:
    SignalsBlocked() noexcept {
        sigset_t all;
        sigfillset(&all);
        for (const int crash : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS}) {
            sigdelset(&all, crash);
        }
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;

private:
    sigset_t before_;
};

}  // namespace websocket::base
