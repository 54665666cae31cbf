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

/// First in, first out. Without frames it is one null pointer. A message may wait as it is, to be
/// compressed part by part when its turn comes: what has been compressed then goes out first. [loop]
class Outbox {
public:
    Outbox() noexcept;
    ~Outbox();
    Outbox(const Outbox&) = delete;
    Outbox& operator=(const Outbox&) = delete;

    /// Throws std::bad_alloc and is then unchanged.
    void push(SharedFrame frame);
    /// A whole, uncompressed frame whose message is to be compressed. Throws as push().
    void push_plain(SharedFrame frame);

    /// Keeps a frame aside until push_last(); `plain` as in push_plain(). Throws as push().
    void park(SharedFrame frame, bool plain);
    /// Of the frames kept aside.
    [[nodiscard]] std::size_t parked_bytes() const noexcept;
    /// Puts all that was kept aside behind `frame`, if there is one, and all others. Returns its bytes. Throws as push().
    std::size_t push_last(SharedFrame frame);

    /// True when nothing is to be written; frames kept aside do not count.
    [[nodiscard]] bool empty() const noexcept { return queue_ == nullptr || nothing_next(); }
    /// Whether a message waits to be compressed, aside or not.
    [[nodiscard]] bool holds_plain() const noexcept;

    /// The message that has to be compressed before anything else can be written.
    struct Plain {
        SharedFrame frame;
        std::size_t done = 0;  ///< bytes of its payload that are compressed already
    };
    /// Without a frame when something else is next.
    [[nodiscard]] Plain next_plain() const noexcept;
    /// The next `count` bytes of it have become `part`. Throws as push().
    void replace_plain(std::size_t count, SharedFrame part);
    /// It goes out as it is.
    void keep_plain() noexcept;

    /// Fills `slots` with what is to be written next; returns how many were filled.
    [[nodiscard]] std::size_t gather(std::span<iovec> slots) const noexcept;

    /// `count` bytes from the front have been written.
    void drop_front(std::size_t count) noexcept;

private:
    struct Queue;
    [[nodiscard]] bool nothing_next() const noexcept;
    template <class Item>
    void append(bool aside, Item item);

    std::unique_ptr<Queue> queue_;
};

}  // namespace websocket::engine
