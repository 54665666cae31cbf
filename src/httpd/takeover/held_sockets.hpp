// SPDX-License-Identifier: Apache-2.0
// The sockets of connections that hold threads of httpd, for ending these connections from outside.
#pragma once

#include <atomic>
#include <cstddef>
#include <deque>
#include <mutex>

namespace websocket::httpd {

/// Keeps a duplicate of each descriptor: httpd may close its own at any moment, and the number then
/// names something else.
class HeldSockets {
public:
    class Hold {
    private:
        friend class HeldSockets;
        static constexpr int kFree = -1;
        static constexpr int kInUse = -2;  ///< by shut_down(), for the time of one system call

        std::atomic<int> socket_{kFree};
        std::atomic<bool> shut_down_{false};
    };

    /// Null without a descriptor or memory. `reserve_left` says whether a new descriptor leaves
    /// enough others. [httpd worker]
    [[nodiscard]] Hold* hold(int socket, bool (*reserve_left)(int)) noexcept;
    /// Async-signal-safe. [any thread]
    static void let_go(Hold& hold) noexcept;

    /// Shuts all of them down, both ways: whoever waits for one in httpd is woken and finds its end.
    /// Returns how many were not yet. [watcher]
    std::size_t shut_down() noexcept;

private:
    std::mutex mutex_;        // guards holds_, not what is in it
    std::deque<Hold> holds_;  // free ones are used again
};

}  // namespace websocket::httpd
