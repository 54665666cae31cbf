// SPDX-License-Identifier: Apache-2.0
// What a callback of a loop puts off until the loop has done all that it had to do.
#pragma once

namespace websocket::engine {

/// Lives as long as it waits. [loop]
class TurnEnd {
public:
    TurnEnd() noexcept = default;
    TurnEnd(const TurnEnd&) = delete;
    TurnEnd& operator=(const TurnEnd&) = delete;

    /// Nobody waits any more when this is called.
    virtual void at_turn_end() noexcept = 0;

protected:
    ~TurnEnd() = default;

private:
    friend class Loop;
    TurnEnd* next_ = nullptr;
};

}  // namespace websocket::engine
