// SPDX-License-Identifier: Apache-2.0
// Frames that wait for a socket to take them.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "engine/shared_frame.hpp"

namespace websocket::engine {

/// First in, first out. Without frames it is one null pointer. [loop]
class Outbox {
public:
    Outbox() noexcept;
    ~Outbox();
    Outbox(const Outbox&) = delete;
    Outbox& operator=(const Outbox&) = delete;

    /// Throws std::bad_alloc and is then unchanged.
    void push(SharedFrame frame);

    /// Keeps a frame aside until unpark(), which puts those kept behind all others. Throws
    /// std::bad_alloc and is then unchanged.
    void park(SharedFrame frame);
    void unpark();

    /// True when nothing is to be written; frames kept aside do not count.
    [[nodiscard]] bool empty() const noexcept;

    /// Fills `slots` with what is to be written next; returns how many were filled.
    [[nodiscard]] std::size_t gather(std::span<iovec> slots) const noexcept;

    /// `count` octets from the front have been written.
    void drop_front(std::size_t count) noexcept;

private:
    struct Queue;
    std::unique_ptr<Queue> queue_;
};

}  // namespace websocket::engine
