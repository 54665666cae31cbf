// SPDX-License-Identifier: Apache-2.0
// Processes that are killed, at whatever instruction a test wants.
#pragma once

#include <sched.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>

#include "unit.hpp"

namespace websocket::test {

/// A child that does `work` and then is killed, which its parent has waited for.
inline pid_t killed_child(const std::function<void()>& work) {
    const pid_t child = ::fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        work();
        ::raise(SIGKILL);
    }
    int status = 0;
    ck_assert_int_eq(::waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return child;
}

/// Whether instructions are stepped through: sanitizers make it very many, and see nothing that the other tests do not
/// show them, as what a killed process leaves is no fault of threads or memory.
inline constexpr bool kStepsInstructions = !kSanitizer;

/// A child process that does `work` one instruction at a time, as its parent says.
class SteppedProcess {
public:
    explicit SteppedProcess(const std::function<void()>& work) : pid_(fork_first()) {
        ck_assert_int_ge(pid_, 0);
        if (pid_ == 0) {
            ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
            ::raise(SIGSTOP);
            work();
            ::raise(SIGUSR1);  // the parent gets it instead
        }
        ck_assert_int_eq(wait(), SIGSTOP);
    }
    SteppedProcess(const SteppedProcess&) = delete;
    SteppedProcess& operator=(const SteppedProcess&) = delete;
    ~SteppedProcess() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }

    /// False when the work is done.
    [[nodiscard]] bool step() {
        ck_assert_int_eq(static_cast<int>(::ptrace(PTRACE_SINGLESTEP, pid_, nullptr, nullptr)), 0);
        const int signal = wait();
        ck_assert(signal == SIGTRAP || signal == SIGUSR1);
        return signal == SIGTRAP;
    }

private:
    /// Both come before what else the machine does, if they may, and on one core: else each of many thousand steps
    /// waits for its turn.
    [[nodiscard]] static pid_t fork_first() {
        sched_param first{};
        first.sched_priority = 1;
        static_cast<void>(::sched_setscheduler(0, SCHED_FIFO, &first));
        cpu_set_t here;
        CPU_ZERO(&here);
        CPU_SET(static_cast<unsigned>(::sched_getcpu()), &here);
        static_cast<void>(::sched_setaffinity(0, sizeof here, &here));
        return ::fork();
    }

    /// What it has stopped with.
    [[nodiscard]] int wait() const {
        int status = 0;
        ck_assert_int_eq(::waitpid(pid_, &status, 0), pid_);
        ck_assert(WIFSTOPPED(status));
        return WSTOPSIG(status);
    }

    const pid_t pid_;
};

}  // namespace websocket::test
