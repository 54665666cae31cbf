// SPDX-License-Identifier: Apache-2.0
// What websocket-plugin-check does with a plugin, one thing at a time.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <string>
#include <websocket/testing.hpp>

#include "watched_plugin.hpp"

namespace websocket::tools {

struct Trial {
    const char* name;
    std::function<void()> run;
};

inline void complain(const std::string& what) {
    std::printf("  %s\n", what.c_str());
    std::fflush(stdout);
}

/// Runs a trial in a process of its own, so that a crash or a hang is one failed trial. The number of
/// complaints is its exit code.
inline bool passes(const Trial& trial, unsigned patience) {
    std::printf("%s\n", trial.name);
    std::fflush(stdout);
    running().name = nullptr;
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(patience);
        try {
            trial.run();
        } catch (const LeftByException& left) {
            complain(std::string(left.name) + ": an exception left it");
            std::_Exit(1);
        } catch (const std::exception& error) {
            complain(error.what());
            std::_Exit(1);
        }
        std::_Exit(0);
    }
    int status = 0;
    if (child < 0 || ::waitpid(child, &status, 0) != child) {
        complain("cannot start a process");
        return false;
    }
    if (WIFSIGNALED(status)) {
        const char* name = running().name;
        const std::string where = name != nullptr ? name : "a timer, a posted function or a thread";
        const int signal = WTERMSIG(status);
        complain(where + (signal == SIGALRM
                              ? ": does not return within " + std::to_string(patience) + " s"
                              : ": crashes, signal " + std::to_string(signal)));
        return false;
    }
    return WEXITSTATUS(status) == 0;
}

/// Ends the trial with a failure when the plugin has done something wrong.
inline void judge(testing::Host& host) {
    host.stop();
    for (const std::string& offence : host.offences()) complain(offence);
    if (!host.offences().empty()) std::_Exit(1);
}

}  // namespace websocket::tools
