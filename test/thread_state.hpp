// SPDX-License-Identifier: Apache-2.0
// What the kernel says of a thread of this process.
#pragma once

#include <sys/types.h>

#include <fstream>
#include <string>

namespace websocket::test {

/// It waits for something.
[[nodiscard]] inline bool asleep(pid_t thread) {
    std::ifstream stat("/proc/self/task/" + std::to_string(thread) + "/stat");
    std::string field;
    while (stat >> field && field.back() != ')') {
    }
    return stat >> field && field == "S";
}

}  // namespace websocket::test
