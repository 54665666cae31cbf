// SPDX-License-Identifier: Apache-2.0
#include "engine/outbox.hpp"

#include <deque>
#include <utility>

namespace websocket::engine {

struct Outbox::Queue {
    struct Item {
        SharedFrame frame;
        bool plain = false;
    };
    std::deque<Item> frames;
    std::deque<Item> parked;
    std::size_t written = 0;   ///< octets of the first frame that are on the wire
    std::size_t deflated = 0;  ///< octets of the first plain message that are compressed
    std::size_t plain = 0;     ///< items that are
};

Outbox::Outbox() noexcept = default;
Outbox::~Outbox() = default;

template <class Item>
void Outbox::append(bool aside, Item item) {
    const std::size_t plain = item.plain ? 1 : 0;
    if (queue_ == nullptr) {
        auto queue = std::make_unique<Queue>();
        (aside ? queue->parked : queue->frames).push_back(std::move(item));
        queue_ = std::move(queue);
    } else {
        (aside ? queue_->parked : queue_->frames).push_back(std::move(item));
    }
    queue_->plain += plain;
}

void Outbox::push(SharedFrame frame) { append(false, Queue::Item{std::move(frame)}); }
void Outbox::push_plain(SharedFrame frame) { append(false, Queue::Item{std::move(frame), true}); }
void Outbox::park(SharedFrame frame) { append(true, Queue::Item{std::move(frame)}); }
void Outbox::park_plain(SharedFrame frame) { append(true, Queue::Item{std::move(frame), true}); }

void Outbox::unpark() {
    if (queue_ == nullptr) {
        return;
    }
    if (queue_->frames.empty()) {
        queue_->frames.swap(queue_->parked);
        return;
    }
    while (!queue_->parked.empty()) {
        queue_->frames.push_back(queue_->parked.front());
        queue_->parked.pop_front();
    }
}

bool Outbox::empty() const noexcept { return queue_ == nullptr || queue_->frames.empty(); }

bool Outbox::holds_plain() const noexcept { return queue_ != nullptr && queue_->plain > 0; }

Outbox::Plain Outbox::next_plain() const noexcept {
    if (empty() || !queue_->frames.front().plain) {
        return {};
    }
    return {queue_->frames.front().frame, queue_->deflated};
}

void Outbox::replace_plain(std::size_t count, SharedFrame part) {
    Queue& queue = *queue_;
    const std::size_t size = queue.frames.front().frame.payload().size();
    if (queue.deflated + count < size) {
        queue.frames.push_front({std::move(part)});
        queue.deflated += count;
        return;
    }
    queue.frames.front() = {std::move(part)};
    queue.deflated = 0;
    --queue.plain;
}

void Outbox::keep_plain() noexcept {
    queue_->frames.front().plain = false;
    --queue_->plain;
}

std::size_t Outbox::gather(std::span<iovec> slots) const noexcept {
    if (queue_ == nullptr) {
        return 0;
    }
    std::size_t count = 0;
    std::size_t skip = queue_->written;
    for (const Queue::Item& item : queue_->frames) {
        if (count == slots.size() || item.plain) {
            break;
        }
        const std::span<const std::uint8_t> rest = item.frame.bytes().subspan(skip);
        // writev(2) does not write through the pointer; iovec just has no const.
        slots[count++] = {const_cast<std::uint8_t*>(rest.data()), rest.size()};
        skip = 0;
    }
    return count;
}

void Outbox::drop_front(std::size_t count) noexcept {
    while (!empty() && !queue_->frames.front().plain) {
        const std::size_t rest = queue_->frames.front().frame.bytes().size() - queue_->written;
        if (count < rest) {
            queue_->written += count;
            return;
        }
        count -= rest;
        queue_->written = 0;
        queue_->frames.pop_front();
        if (queue_->frames.empty() && queue_->parked.empty()) {
            queue_.reset();
        }
    }
}

}  // namespace websocket::engine
