// SPDX-License-Identifier: Apache-2.0
// Functions of the user's, which are called when all that happens has been seen to.
#pragma once

#include <deque>
#include <exception>
#include <functional>
#include <utility>

namespace websocket::client {

/// Nothing calls them but run(), from the bottom of the stack: so each may do what it likes, destroying the client
/// included. [loop]
class Callbacks {
public:
    /// Hears of what they throw.
    using Threw = std::function<void(std::exception_ptr)>;

    /// `always`: also when the client is destroyed before. Throws std::bad_alloc.
    void add(std::function<void()> function, bool always) {
        waiting_.push_back({std::move(function), always});
    }
    [[nodiscard]] bool empty() const noexcept { return waiting_.empty(); }

    /// Calls all; when `last`, those that are called always.
    void run(const Threw& threw, bool last = false) {
        while (!waiting_.empty()) {
            const Waiting next = std::move(waiting_.front());
            waiting_.pop_front();
            if (last && !next.always) {
                continue;
            }
            try {
                next.function();
            } catch (...) {
                threw(std::current_exception());
            }
        }
    }

private:
    struct Waiting {
        std::function<void()> function;
        bool always;
    };
    std::deque<Waiting> waiting_;
};

}  // namespace websocket::client
