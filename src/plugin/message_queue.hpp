// SPDX-License-Identifier: Apache-2.0
// Messages on their way from a loop to the pool.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

#include "engine/session.hpp"
#include "protocol/byte_buffer.hpp"

namespace websocket::plugin {

/// One message, owned: either in the buffer that it was received into or copied behind the header.
struct QueuedMessage {
    struct Free {
        void operator()(QueuedMessage* message) const noexcept;
    };
    using Owner = std::unique_ptr<QueuedMessage, Free>;

    QueuedMessage* next = nullptr;
    protocol::MessageType type;
    protocol::ByteBuffer buffer;  ///< empty when the payload stands behind this header
    std::size_t copied = 0;       ///< octets behind this header

    /// Takes over message.owner, or copies. Throws std::bad_alloc. [loop]
    [[nodiscard]] static Owner make(engine::Message message);

    [[nodiscard]] std::span<std::uint8_t> payload() noexcept;
    /// What it weighs in memory, roughly.
    [[nodiscard]] std::size_t weight() noexcept { return sizeof *this + payload().size(); }

private:
    explicit QueuedMessage(protocol::MessageType what) noexcept : type(what) {}
};

/// One writer, one reader, no lock. Empty it is two null pointers.
class MessageQueue {
public:
    MessageQueue() noexcept = default;
    MessageQueue(const MessageQueue&) = delete;
    MessageQueue& operator=(const MessageQueue&) = delete;
    ~MessageQueue();

    void push(QueuedMessage::Owner message) noexcept;  ///< [loop]

    /// The oldest message, or null. [pool]
    [[nodiscard]] QueuedMessage::Owner pop() noexcept;

private:
    std::atomic<QueuedMessage*> arrived_{nullptr};  // newest first
    QueuedMessage* ready_ = nullptr;                // the reader's, oldest first
};

}  // namespace websocket::plugin
