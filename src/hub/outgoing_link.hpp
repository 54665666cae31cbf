// SPDX-License-Identifier: Apache-2.0
// Publications on their way to one other process.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>

#include "base/descriptor.hpp"
#include "engine/shared_frame.hpp"

namespace websocket::hub {

/// First in, first out. Not safe for threads.
class OutgoingLink {
public:
    explicit OutgoingLink(std::uint64_t address) noexcept : address_(address) {}

    [[nodiscard]] std::uint64_t address() const noexcept { return address_; }
    [[nodiscard]] int descriptor() const noexcept { return socket_.get(); }
    [[nodiscard]] bool connected() const noexcept { return socket_.valid(); }
    /// 0, or errno as connect_to() gives it.
    [[nodiscard]] int connect() noexcept;

    /// What goes before everything else. Throws std::bad_alloc.
    void push_hello(const engine::SharedFrame& hello);
    /// Queues a record of two parts, unless `limit` bytes or more wait: then false. Throws
    /// std::bad_alloc and has then done nothing.
    [[nodiscard]] bool push(const engine::SharedFrame& head, const engine::SharedFrame& frame,
                            std::size_t limit);

    /// Writes until nothing is left, the other process takes no more, or it is others' turn. False
    /// when the other process is gone.
    [[nodiscard]] bool flush() noexcept;
    [[nodiscard]] bool empty() const noexcept { return parts_.empty(); }

    // The owner's marks.
    bool touched = false;          ///< there is something new to flush
    bool polled_for_room = false;  ///< epoll tells when there is room

private:
    void drop_front(std::size_t count) noexcept;

    const std::uint64_t address_;  // of the other process, in the registry
    base::Descriptor socket_;
    std::deque<engine::SharedFrame> parts_;
    std::size_t written_ = 0;  // of the first part
    std::size_t bytes_ = 0;    // in parts_, with their cost
};

}  // namespace websocket::hub
