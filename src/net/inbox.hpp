// SPDX-License-Identifier: Apache-2.0
// How other threads hand something to the thread of a reactor.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

#include "net/reactor.hpp"

namespace websocket::net {

enum class Posted : std::uint8_t {
    yes,
    full,    ///< as much as may wait does wait
    closed,  ///< nobody will take anything any more
};

/// Many writers, one reader, which is woken once a batch: a Reactor, or what else has wake(). Items of one thread stay
/// in order.
template <class Item, class Reader = Reactor>
class Inbox {
public:
    /// `most` is how much may wait, in the unit of post(); one item of any cost beyond. The reader
    /// outlives the inbox.
    explicit Inbox(const Reader& reader, std::size_t most = SIZE_MAX) noexcept
        : reader_(reader), most_(most) {}

    /// Unless the answer is yes, `item` is untouched, as it is when this throws std::bad_alloc.
    /// [any thread]
    [[nodiscard]] Posted post(Item&& item, std::size_t cost = 0) {
        bool first = false;
        {
            const std::lock_guard lock(mutex_);
            if (closed_) {
                return Posted::closed;
            }
            if (waiting_ >= most_) {
                return Posted::full;
            }
            first = items_.empty();
            items_.push_back(std::move(item));
            any_.store(true, std::memory_order_relaxed);
            waiting_ += cost;
        }
        if (first) {
            reader_.wake();
        }
        return Posted::yes;
    }

    /// Has `extend(last)`, which says whether it did, make more of the last item instead of posting another
    /// one. False when nothing waits, too. Throws what it throws. [any thread]
    template <class Extend>
    [[nodiscard]] bool extend_last(Extend extend) {
        const std::lock_guard lock(mutex_);
        return !items_.empty() && extend(items_.back());
    }

    /// Something waits. Exact of what was posted before anything that the caller knows of. [loop]
    [[nodiscard]] bool any() const noexcept { return any_.load(std::memory_order_relaxed); }

    /// Exchanges all items so far for the empty `batch`, whose memory is used again. [loop]
    void take(std::vector<Item>& batch) noexcept {
        const std::lock_guard lock(mutex_);
        items_.swap(batch);
        any_.store(false, std::memory_order_relaxed);
        waiting_ = 0;
    }

    /// Nothing can be posted any more, unless something is there already; then false. [loop]
    [[nodiscard]] bool close_if_empty() noexcept {
        const std::lock_guard lock(mutex_);
        closed_ = closed_ || items_.empty();
        return closed_;
    }
    /// Nothing can be posted any more. [loop]
    void close() noexcept {
        const std::lock_guard lock(mutex_);
        closed_ = true;
    }

private:
    const Reader& reader_;
    const std::size_t most_;
    std::atomic<bool> any_{false};  // items_ has some
    std::mutex mutex_;              // guards what follows
    std::vector<Item> items_;
    std::size_t waiting_ = 0;
    bool closed_ = false;
};

}  // namespace websocket::net
