// SPDX-License-Identifier: Apache-2.0
// Messages on their way from a loop to the pool.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

#include "base/byte_buffer.hpp"
#include "engine/session.hpp"

namespace websocket::plugin {

class V1Call;

/// One message or the like: in the buffer that it was received into, copied behind this, or, for a while, where it was
/// read.
struct QueuedMessage {
    struct Free {
        void operator()(QueuedMessage* message) const noexcept;
    };
    using Owner = std::unique_ptr<QueuedMessage, Free>;

    /// What this is; v0 plugins see messages only.
    enum class Kind : std::uint8_t { message, part, pong, call };

    QueuedMessage* next = nullptr;
    Kind kind = Kind::message;
    protocol::MessageType type{};
    bool first = true;         ///< of a part
    bool last = true;          ///< of a part
    std::uint32_t events = 0;  ///< of a call
    std::shared_ptr<V1Call> call = {};
    std::span<std::uint8_t> payload;
    base::ByteBuffer buffer;  ///< what `payload` lies in, if it is one

    /// Takes over message.owner; without one the payload stays where it is.
    explicit QueuedMessage(engine::Message message) noexcept;
    /// Takes over message.owner, or copies. Throws std::bad_alloc. [loop]
    [[nodiscard]] static Owner make(engine::Message message);
    /// Copies. Throws std::bad_alloc. [loop]
    [[nodiscard]] static Owner make(Kind kind, std::span<const std::uint8_t> payload);

    /// What it weighs in memory, roughly.
    [[nodiscard]] std::size_t weight() const noexcept { return sizeof *this + payload.size(); }

private:
    QueuedMessage() noexcept = default;
};

/// Many writers, one reader, no lock. Empty it is two null pointers.
class MessageQueue {
public:
    MessageQueue() noexcept = default;
    MessageQueue(const MessageQueue&) = delete;
    MessageQueue& operator=(const MessageQueue&) = delete;
    ~MessageQueue();

    void push(QueuedMessage::Owner message) noexcept;  ///< [any thread]

    /// The oldest message, or null. [pool]
    [[nodiscard]] QueuedMessage::Owner pop() noexcept;
    /// Makes it the oldest one. [pool]
    void put_back(QueuedMessage::Owner message) noexcept;

private:
    std::atomic<QueuedMessage*> arrived_{nullptr};  // newest first
    QueuedMessage* ready_ = nullptr;                // the reader's, oldest first
};

}  // namespace websocket::plugin
