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

QueuedMessage::QueuedMessage(engine::Message message) noexcept
    : type(message.type), payload(message.payload) {
    if (message.owner != nullptr) {
        buffer = std::move(*message.owner);
    }
}

QueuedMessage::Owner QueuedMessage::make(engine::Message message) {
    if (message.owner != nullptr) {
        void* memory = ::operator new(sizeof(QueuedMessage));
        return Owner(new (memory) QueuedMessage(message));
    }
    Owner queued = make(Kind::message, message.payload);
    queued->type = message.type;
    return queued;
}

QueuedMessage::Owner QueuedMessage::make(Kind kind, std::span<const std::uint8_t> payload) {
    void* memory = ::operator new(sizeof(QueuedMessage) + payload.size());
    Owner queued(new (memory) QueuedMessage());
    queued->kind = kind;
    queued->payload = {reinterpret_cast<std::uint8_t*>(queued.get() + 1), payload.size()};
    std::copy(payload.begin(), payload.end(), queued->payload.begin());
    return queued;
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

void MessageQueue::put_back(QueuedMessage::Owner message) noexcept {
    message->next = ready_;
    ready_ = message.release();
}

}  // namespace websocket::plugin
