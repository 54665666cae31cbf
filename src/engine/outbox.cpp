// SPDX-License-Identifier: Apache-2.0
#include "engine/outbox.hpp"

#include <algorithm>
#include <deque>

namespace websocket::engine {

struct Outbox::Queue {
    std::deque<SharedFrame> frames;
    std::deque<SharedFrame> parked;
    std::size_t written = 0;  ///< octets of the first frame that are on the wire
};

Outbox::Outbox() noexcept = default;
Outbox::~Outbox() = default;

void Outbox::push(SharedFrame frame) {
    if (queue_ == nullptr) {
        auto queue = std::make_unique<Queue>();
        queue->frames.push_back(std::move(frame));
        queue_ = std::move(queue);
        return;
    }
    queue_->frames.push_back(std::move(frame));
}

void Outbox::park(SharedFrame frame) {
    if (queue_ == nullptr) {
        auto queue = std::make_unique<Queue>();
        queue->parked.push_back(std::move(frame));
        queue_ = std::move(queue);
        return;
    }
    queue_->parked.push_back(std::move(frame));
}

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

std::size_t Outbox::gather(std::span<iovec> slots) const noexcept {
    if (queue_ == nullptr) {
        return 0;
    }
    const std::size_t count = std::min(slots.size(), queue_->frames.size());
    std::size_t skip = queue_->written;
    for (std::size_t i = 0; i < count; ++i) {
        const std::span<const std::uint8_t> rest = queue_->frames[i].bytes().subspan(skip);
        // writev(2) does not write through the pointer; iovec just has no const.
        slots[i] = {const_cast<std::uint8_t*>(rest.data()), rest.size()};
        skip = 0;
    }
    return count;
}

void Outbox::drop_front(std::size_t count) noexcept {
    while (!empty()) {
        const std::size_t rest = queue_->frames.front().bytes().size() - queue_->written;
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
