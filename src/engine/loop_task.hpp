// SPDX-License-Identifier: Apache-2.0
// Work that other threads hand to a loop.
#pragma once

namespace websocket::engine {

class Connection;
class Loop;

class LoopTask {
public:
    LoopTask() noexcept = default;
    LoopTask(const LoopTask&) = delete;
    LoopTask& operator=(const LoopTask&) = delete;
    virtual ~LoopTask() = default;

    /// `connection` is the one that the task was posted for, or null when its session has ended or
    /// the task was posted for none. Deleted afterwards. [loop]
    virtual void run(Loop& loop, Connection* connection) noexcept = 0;
};

}  // namespace websocket::engine
