// SPDX-License-Identifier: Apache-2.0
#include "plugin/common/message_queue.hpp"

#include <algorithm>
#include <new>
#include <utility>

namespace websocket::plugin {

void QueuedMessage::Free::operator()(QueuedMessage* message) const noexcept {
    message->~QueuedMessage();
    ::operator delete(message);
}

QueuedMessage::Owner QueuedMessage::make(engine::Message message) {
    const bool copy = message.owner == nullptr;
    Owner queued = make(Kind::message, copy ? message.payload : std::span<const std::uint8_t>{});
    queued->type = message.type;
    if (!copy) {
        queued->buffer = std::move(*message.owner);
    }
    return queued;
}

QueuedMessage::Owner QueuedMessage::make(Kind kind, std::span<const std::uint8_t> payload) {
    void* memory = ::operator new(sizeof(QueuedMessage) + payload.size());
    Owner queued(new (memory) QueuedMessage());
    queued->kind = kind;
    queued->copied = payload.size();
    std::ranges::copy(payload, queued->payload().begin());
    return queued;
}

std::span<std::uint8_t> QueuedMessage::payload() noexcept {
    return copied > 0 ? std::span{reinterpret_cast<std::uint8_t*>(this + 1), copied}
                      : buffer.bytes();
}

MessageQueue::~MessageQueue() {
    while (pop() != nullptr) {
    }
}

void MessageQueue::push(QueuedMessage::Owner message) noexcept {
    QueuedMessage* raw = message.release();
    raw->next = arrived_.load(std::memory_order_relaxed);
    while (!arrived_.compare_exchange_weak(raw->next, raw, std::memory_order_release,
                                           std::memory_order_relaxed)) {
    }
}

QueuedMessage::Owner MessageQueue::pop() noexcept {
    if (ready_ == nullptr) {
        QueuedMessage* newest = arrived_.exchange(nullptr, std::memory_order_acquire);
        while (newest != nullptr) {
            QueuedMessage* older = std::exchange(newest->next, ready_);
            ready_ = std::exchange(newest, older);
        }
    }
    if (ready_ == nullptr) {
        return {};
    }
    return QueuedMessage::Owner(std::exchange(ready_, ready_->next));
}

}  // namespace websocket::plugin
