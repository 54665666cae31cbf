// SPDX-License-Identifier: Apache-2.0
// Messages that wait until the broker takes them.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>

#include "engine/shared_frame.hpp"

namespace websocket::bridge {

/// First in, first out; what has waited too long, or is too much, is dropped at the front. Not safe for threads.
class OutgoingQueue {
public:
    struct Item {
        std::string channel;
        std::uint64_t sequence;
        engine::SharedFrame frame;
        std::chrono::milliseconds since;
    };
    /// Memory that an item takes besides its bytes.
    static constexpr std::size_t kCost = 128;

    OutgoingQueue(std::size_t most_bytes, std::chrono::milliseconds longest) noexcept
        : most_bytes_(most_bytes), longest_(longest) {}

    /// Returns how many were dropped for it: the oldest. The newest stays, whatever its size. Throws std::bad_alloc and
    /// has then done nothing.
    std::size_t push(Item item);
    /// Drops what has waited too long; returns how many.
    std::size_t expire(std::chrono::milliseconds now) noexcept;

    [[nodiscard]] bool empty() const noexcept { return items_.empty(); }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] const Item& front() const noexcept { return items_.front(); }
    void pop() noexcept;

private:
    [[nodiscard]] static std::size_t cost(const Item& item) noexcept {
        return item.channel.size() + item.frame.bytes().size() + kCost;
    }

    const std::size_t most_bytes_;
    const std::chrono::milliseconds longest_;
    std::deque<Item> items_;
    std::size_t bytes_ = 0;
};

}  // namespace websocket::bridge
