// SPDX-License-Identifier: Apache-2.0
#include "engine/outbox.hpp"

#include <utility>
#include <vector>

#include "base/iovec.hpp"

namespace websocket::engine {

struct Outbox::Queue {
    struct Item {
        SharedFrame frame;
        bool plain = false;
    };

    /// First in, first out, in one piece of memory: a broadcast makes one for each of its receivers.
    class Items {
    public:
        [[nodiscard]] bool empty() const noexcept { return begin_ == items_.size(); }
        [[nodiscard]] Item& front() noexcept { return items_[begin_]; }
        [[nodiscard]] std::span<const Item> all() const noexcept {
            return std::span(items_).subspan(begin_);
        }
        /// As push_back(), but a small frame costs no memory but its bytes where another one is the last.
        void add(Item item) {
            if (empty() || items_.back().plain || item.plain ||
                !items_.back().frame.take(item.frame)) {
                push_back(std::move(item));
            }
        }
        /// Throws std::bad_alloc and is then unchanged.
        void push_back(Item item) {
            if (items_.size() == items_.capacity() && begin_ > items_.size() / 2) {
                items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(begin_));
                begin_ = 0;
            }
            items_.push_back(std::move(item));
        }
        /// The next `count` calls of push_back() throw nothing. Throws as these.
        void reserve(std::size_t count) { items_.reserve(items_.size() + count); }
        /// Throws as push_back().
        void push_front(Item item) {
            if (begin_ == 0) {
                items_.insert(items_.begin(), std::move(item));
            } else {
                items_[--begin_] = std::move(item);
            }
        }
        void pop_front() noexcept {
            items_[begin_++] = {};
            if (empty()) {
                items_.clear();
                begin_ = 0;
            }
        }

    private:
        std::vector<Item> items_;
        std::size_t begin_ = 0;  ///< index of the first one
    };

    Items frames;
    Items parked;
    std::size_t parked_bytes = 0;
    std::size_t written = 0;   ///< bytes of the first frame that are on the wire
    std::size_t deflated = 0;  ///< bytes of the first plain message that are compressed
    std::size_t plain = 0;     ///< items that are
};

Outbox::Outbox() noexcept = default;
Outbox::~Outbox() = default;

template <class Item>
void Outbox::append(bool aside, Item item) {
    const std::size_t plain = item.plain ? 1 : 0;
    if (queue_ == nullptr) {
        auto queue = std::make_unique<Queue>();
        (aside ? queue->parked : queue->frames).add(std::move(item));
        queue_ = std::move(queue);
    } else {
        (aside ? queue_->parked : queue_->frames).add(std::move(item));
    }
    queue_->plain += plain;
}

void Outbox::push(SharedFrame frame) { append(false, Queue::Item{std::move(frame)}); }
void Outbox::push_plain(SharedFrame frame) { append(false, Queue::Item{std::move(frame), true}); }

void Outbox::park(SharedFrame frame, bool plain) {
    const std::size_t bytes = frame.bytes().size();
    append(true, Queue::Item{std::move(frame), plain});
    queue_->parked_bytes += bytes;
}

std::size_t Outbox::parked_bytes() const noexcept {
    return queue_ != nullptr ? queue_->parked_bytes : 0;
}

std::size_t Outbox::push_last(SharedFrame frame) {
    if (parked_bytes() > 0) {
        queue_->frames.reserve(queue_->parked.all().size() + 1);
    }
    if (frame) {
        push(std::move(frame));
    }
    if (parked_bytes() == 0) {
        return 0;
    }
    while (!queue_->parked.empty()) {
        queue_->frames.push_back(std::move(queue_->parked.front()));
        queue_->parked.pop_front();
    }
    return std::exchange(queue_->parked_bytes, 0);
}

bool Outbox::nothing_next() const noexcept { return queue_->frames.empty(); }

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
    for (const Queue::Item& item : queue_->frames.all()) {
        if (count == slots.size() || item.plain) {
            break;
        }
        const std::span<const std::uint8_t> rest = item.frame.bytes().subspan(skip);
        slots[count++] = base::to_iovec(rest);
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
