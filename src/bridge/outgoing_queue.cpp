// SPDX-License-Identifier: Apache-2.0
#include "bridge/outgoing_queue.hpp"

#include <utility>

namespace websocket::bridge {

std::size_t OutgoingQueue::push(Item item) {
    const std::size_t more = cost(item);
    items_.push_back(std::move(item));
    bytes_ += more;
    std::size_t dropped = 0;
    for (; bytes_ > most_bytes_ && items_.size() > 1; ++dropped) {
        pop();
    }
    return dropped;
}

std::size_t OutgoingQueue::expire(std::chrono::milliseconds now) noexcept {
    std::size_t dropped = 0;
    for (; !items_.empty() && now - items_.front().since > longest_; ++dropped) {
        pop();
    }
    return dropped;
}

void OutgoingQueue::pop() noexcept {
    bytes_ -= cost(items_.front());
    items_.pop_front();
}

}  // namespace websocket::bridge
