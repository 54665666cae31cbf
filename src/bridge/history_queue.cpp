// SPDX-License-Identifier: Apache-2.0
#include "bridge/history_queue.hpp"

#include <algorithm>
#include <utility>

namespace websocket::bridge {

void HistoryQueue::push(Item item) {
    const std::size_t more = cost(item);
    items_.push_back(std::move(item));
    bytes_ += more;
}

const HistoryQueue::Item* HistoryQueue::next_to_send() noexcept {
    return has_unsent() ? &items_[sent_++] : nullptr;
}

std::optional<HistoryQueue::Item> HistoryQueue::take(std::uint64_t number) noexcept {
    const auto found = std::ranges::lower_bound(items_, number, {}, &Item::number);
    if (found == items_.end() || found->number != number) {
        return {};
    }
    return take_at(static_cast<std::size_t>(found - items_.begin()));
}

std::optional<HistoryQueue::Item> HistoryQueue::take_front() noexcept {
    return empty() ? std::nullopt : take_at(0);
}

std::optional<HistoryQueue::Item> HistoryQueue::take_at(std::size_t index) noexcept {
    std::optional<Item> item(std::move(items_[index]));
    bytes_ -= cost(*item);
    items_.erase(items_.begin() + static_cast<std::ptrdiff_t>(index));
    if (index < sent_) {
        --sent_;
    }
    return item;
}

}  // namespace websocket::bridge
