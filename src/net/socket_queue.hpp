// SPDX-License-Identifier: Apache-2.0
// Hands open sockets from one process to another that was forked from the same one.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "base/descriptor.hpp"

namespace websocket::net {

/// Whoever takes a socket has it; those that nobody takes are closed with the last process that has the
/// queue. It has no name: only processes that inherit it can use it. All functions but the constructor:
/// [any thread] of any of these processes, never block.
class SocketQueue {
public:
    using Clock = std::chrono::steady_clock;  // the same in all processes

    struct Item {
        base::Descriptor socket;
        Clock::time_point put_in;
        Clock::time_point first_put_in;  ///< the same unless it has been put in again
    };

    /// Throws std::system_error.
    SocketQueue();

    /// A duplicate of `socket` waits to be taken. False when the queue is full, or the kernel refuses.
    [[nodiscard]] bool put(int socket) const noexcept;
    /// The same for one that was taken out, behind all that are there.
    [[nodiscard]] bool put_again(const Item& item) const noexcept;
    /// The oldest one; nothing when there is none, or no descriptor for it: then it is closed.
    [[nodiscard]] std::optional<Item> take() const noexcept;
    /// When the oldest one was put in, which stays there.
    [[nodiscard]] std::optional<Clock::time_point> oldest() const noexcept;
    /// Readable while there is one.
    [[nodiscard]] int descriptor() const noexcept { return exit_.get(); }

private:
    [[nodiscard]] bool put(int socket, Clock::time_point now,
                           Clock::time_point first) const noexcept;

    base::Descriptor entrance_;
    base::Descriptor exit_;
};

}  // namespace websocket::net
