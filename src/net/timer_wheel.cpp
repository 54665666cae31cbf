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
}

void TimerWheel::cancel(TimerNode& node) noexcept {
    if (!node.armed()) {
        return;
    }
    node.previous->next = node.next;
    node.next->previous = node.previous;
    node.previous = node.next = nullptr;
}

std::uint64_t TimerWheel::occupied_words() const noexcept {
    std::uint64_t any = 0;
    for (const std::uint64_t word : occupied_) {
        any |= word;
    }
    return any;
}

void TimerWheel::take_bucket(Tick tick, TimerNode& into) noexcept {
    const unsigned bucket = bucket_of(tick);
    TimerNode& head = buckets_[bucket];
    occupied_[bucket / kWordBits] &= ~(std::uint64_t{1} << (bucket % kWordBits));
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

Tick TimerWheel::ticks_to_next() const noexcept {
    const unsigned start = bucket_of(current_ + 1);
    for (unsigned step = 0; step < kBuckets;) {
        const unsigned bucket = (start + step) % kBuckets;
        const std::uint64_t rest = occupied_[bucket / kWordBits] >> (bucket % kWordBits);
        if (rest != 0) {
            const auto found = step + static_cast<unsigned>(std::countr_zero(rest));
            return found < kBuckets ? found + 1 : kBuckets;
        }
        step += kWordBits - bucket % kWordBits;
    }
    return 0;
}

std::chrono::milliseconds TimerWheel::timeout(std::chrono::milliseconds now,
                                              std::chrono::milliseconds most) const noexcept {
    const Tick wait = ticks_to_next();
    return wait > 0 ? std::min(most, wait * tick_ - now % tick_) : most;
}

}  // namespace websocket::net
