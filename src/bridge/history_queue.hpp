// SPDX-License-Identifier: Apache-2.0
// Messages of topics with history that the broker has not told back yet.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "engine/shared_frame.hpp"

namespace websocket::bridge {

/// In the order in which they go to the broker. Not safe for threads.
class HistoryQueue {
public:
    struct Item {
        std::uint64_t number;  ///< larger than those before
        std::string key;       ///< hub::TopicKey::bytes()
        engine::SharedFrame frame;
        std::chrono::milliseconds since;
        bool delivered;  ///< in this host
    };
    /// Memory that an item takes besides its bytes.
    static constexpr std::size_t kCost = 128;

    /// Throws std::bad_alloc and has then done nothing.
    void push(Item item);
    /// The next one that is to be sent, and counts as sent from now on; null when there is none.
    [[nodiscard]] const Item* next_to_send() noexcept;
    [[nodiscard]] bool has_unsent() const noexcept { return sent_ < items_.size(); }
    /// None has been sent.
    void forget_sent() noexcept { sent_ = 0; }
    /// Takes the item with this number away; nothing when it is not here.
    std::optional<Item> take(std::uint64_t number) noexcept;
    std::optional<Item> take_front() noexcept;

    [[nodiscard]] bool empty() const noexcept { return items_.empty(); }
    [[nodiscard]] const Item& front() const noexcept { return items_.front(); }
    [[nodiscard]] const Item& back() const noexcept { return items_.back(); }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    /// Calls each(item, sent).
    template <class Each>
    void for_each(Each each) {
        for (std::size_t i = 0; i < items_.size(); ++i) {
            each(items_[i], i < sent_);
        }
    }

private:
    [[nodiscard]] static std::size_t cost(const Item& item) noexcept {
        return item.key.size() + item.frame.bytes().size() + kCost;
    }
    std::optional<Item> take_at(std::size_t index) noexcept;

    std::deque<Item> items_;
    std::size_t sent_ = 0;  ///< the first ones
    std::size_t bytes_ = 0;
};

}  // namespace websocket::bridge
