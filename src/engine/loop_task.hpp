// SPDX-License-Identifier: Apache-2.0
// Work that other threads hand to a loop.
#pragma once

namespace websocket::engine {

class Channel;
class Loop;

class LoopTask {
public:
    LoopTask() noexcept = default;
    LoopTask(const LoopTask&) = delete;
    LoopTask& operator=(const LoopTask&) = delete;
    virtual ~LoopTask() = default;

    /// `channel` is the one that the task was posted for, or null when its session has ended or the
    /// task was posted for none. Deleted afterwards. [loop]
    virtual void run(Loop& loop, Channel* channel) noexcept = 0;
};

}  // namespace websocket::engine
