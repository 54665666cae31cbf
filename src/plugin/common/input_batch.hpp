// SPDX-License-Identifier: Apache-2.0
// Messages of one read, on the thread that has read them.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "engine/session.hpp"
#include "plugin/common/message_queue.hpp"

namespace websocket::plugin {

class SerialQueue;

/// They stay where they were read until they are handled: one a thread is enough. [the thread of a loop]
class InputBatch {
public:
    /// Those beyond are copied.
    static constexpr std::size_t kMost = 128;

    /// The batch of this thread.
    [[nodiscard]] static InputBatch& own() noexcept;

    /// Begins for a session. False without memory.
    [[nodiscard]] bool begin(const SerialQueue& session) noexcept;
    [[nodiscard]] bool belongs_to(const SerialQueue& session) const noexcept {
        return session_ == &session;
    }
    [[nodiscard]] bool in_use() const noexcept { return session_ != nullptr; }
    [[nodiscard]] bool full() const noexcept { return messages_.size() == kMost; }
    /// To a batch that is not full. Returns what the message weighs.
    std::size_t add(engine::Message message) noexcept {
        const std::size_t weight = messages_.emplace_back(message).weight();
        bytes_ += weight;
        return weight;
    }
    [[nodiscard]] std::span<QueuedMessage> messages() noexcept { return messages_; }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    /// Nobody's any more.
    void clear() noexcept {
        session_ = nullptr;
        messages_.clear();
        bytes_ = 0;
    }

private:
    const SerialQueue* session_ = nullptr;
    std::vector<QueuedMessage> messages_;
    std::size_t bytes_ = 0;
};

}  // namespace websocket::plugin
