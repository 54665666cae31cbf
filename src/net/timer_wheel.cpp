// SPDX-License-Identifier: Apache-2.0
#include "net/timer_wheel.hpp"

#include <algorithm>
#include <bit>

namespace websocket::net {

TimerWheel::TimerWheel(std::chrono::milliseconds tick, Tick now) noexcept
    : tick_(tick), current_(now) {
    for (TimerNode& head : buckets_) {
        head.previous = head.next = &head;
    }
}

void TimerWheel::arm(TimerNode& node, Tick deadline) noexcept {
    cancel(node);
    node.deadline = deadline;
    const Tick slot = before(current_, deadline) ? deadline : current_ + 1;
    const unsigned bucket = bucket_of(slot);
    TimerNode& head = buckets_[bucket];
    node.previous = head.previous;
    node.next = &head;
    head.previous->next = &node;
    head.previous = &node;
    occupied_[bucket / kWordBits] |= std::uint64_t{1} << (bucket % kWordBits);
    occupied_words_ |= static_cast<std::uint16_t>(1U << bucket / kWordBits);
}

void TimerWheel::cancel(TimerNode& node) noexcept {
    if (!node.armed()) {
        return;
    }
    node.previous->next = node.next;
    node.next->previous = node.previous;
    node.previous = node.next = nullptr;
}

void TimerWheel::take_bucket(Tick tick, TimerNode& into) noexcept {
    const unsigned bucket = bucket_of(tick);
    TimerNode& head = buckets_[bucket];
    std::uint64_t& word = occupied_[bucket / kWordBits];
    word &= ~(std::uint64_t{1} << (bucket % kWordBits));
    if (word == 0) {
        occupied_words_ &= static_cast<std::uint16_t>(~(1U << bucket / kWordBits));
    }
    if (head.next == &head) {
        into.previous = into.next = &into;
        return;
    }
    into.next = head.next;
    into.previous = head.previous;
    into.next->previous = &into;
    into.previous->next = &into;
    head.previous = head.next = &head;
}

// Asked at each turn of a loop, so it looks at two words at most.
Tick TimerWheel::ticks_to_next() const noexcept {
    const unsigned start = bucket_of(current_ + 1);
    const unsigned first = start / kWordBits;
    if (const std::uint64_t rest = occupied_[first] >> start % kWordBits; rest != 0) {
        return static_cast<Tick>(std::countr_zero(rest)) + 1;
    }
    // Of the first word, which is the last one here, only what comes before `start` is left.
    const auto others = std::rotr(occupied_words_, static_cast<int>(first) + 1);
    if (others == 0) {
        return 0;
    }
    const unsigned word = (first + 1 + static_cast<unsigned>(std::countr_zero(others))) % kWords;
    const unsigned bucket =
        word * kWordBits + static_cast<unsigned>(std::countr_zero(occupied_[word]));
    return (bucket - start) % kBuckets + 1;
}

std::chrono::milliseconds TimerWheel::timeout(std::chrono::milliseconds now,
                                              std::chrono::milliseconds most) const noexcept {
    const Tick wait = ticks_to_next();
    return wait > 0 ? std::min(most, wait * tick_ - now % tick_) : most;
}

}  // namespace websocket::net
