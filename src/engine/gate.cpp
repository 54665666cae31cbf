// SPDX-License-Identifier: Apache-2.0
#include "engine/gate.hpp"

#include <algorithm>

namespace websocket::engine {

Admission Gate::admit(std::uint32_t generation, std::size_t bytes, std::size_t high_water,
                      Passage passage) noexcept {
    if (bytes >= kMaxQueued) {
        return Admission::too_big;
    }
    // Below the mark plus one largest frame the count stays within its 30 bits.
    const std::size_t mark = std::min(high_water, kMaxQueued);
    std::uint64_t word = load();
    do {
        if (generation_of(word) != generation) return Admission::gone;
        if ((word & kClosing) != 0) return Admission::closing;
        if (is_full(word, mark, passage)) return Admission::full;
    } while (!word_.compare_exchange_weak(word, word + bytes, std::memory_order_acq_rel,
                                          std::memory_order_acquire));
    return Admission::accepted;
}

void Gate::withdraw(std::uint32_t generation, std::size_t bytes) noexcept {
    std::uint64_t word = load();
    do {
        if (generation_of(word) != generation) return;
    } while (!word_.compare_exchange_weak(word, word - bytes, std::memory_order_acq_rel,
                                          std::memory_order_acquire));
}

bool Gate::begin_wait(std::uint32_t generation, std::size_t low_water, Passage passage) noexcept {
    std::uint64_t word = load();
    do {
        if (generation_of(word) != generation || (word & kClosing) != 0 ||
            has_room(word, low_water, passage)) {
            return false;
        }
    } while (!word_.compare_exchange_weak(word, word | kWaiting, std::memory_order_acq_rel,
                                          std::memory_order_acquire));
    return true;
}

void Gate::open() noexcept { word_.fetch_and(~kClosing, std::memory_order_acq_rel); }

bool Gate::close(std::uint32_t generation) noexcept {
    std::uint64_t word = load();
    do {
        if (generation_of(word) != generation || (word & kClosing) != 0) {
            return false;
        }
    } while (!word_.compare_exchange_weak(word, word | kClosing, std::memory_order_acq_rel,
                                          std::memory_order_acquire));
    return true;
}

void Gate::add(std::size_t bytes) noexcept {
    // What the loop adds unasked is bounded by one read, so it cannot leave the 30 bits either.
    word_.fetch_add(bytes, std::memory_order_acq_rel);
}

void Gate::hold_up() noexcept { word_.fetch_or(kHeldUp, std::memory_order_acq_rel); }

void Gate::let_on() noexcept { word_.fetch_and(~kHeldUp, std::memory_order_acq_rel); }

bool Gate::release(std::size_t bytes, std::size_t low_water) noexcept {
    const std::uint64_t word = word_.fetch_sub(bytes, std::memory_order_acq_rel) - bytes;
    return (word & kWaiting) != 0 && queued_of(word) <= low_water;
}

bool Gate::end_wait() noexcept {
    return (word_.fetch_and(~kWaiting, std::memory_order_acq_rel) & kWaiting) != 0;
}

bool Gate::retire() noexcept {
    std::uint64_t word = load();
    std::uint64_t next = 0;
    do {
        constexpr std::uint64_t kMask = UINT64_MAX >> kGenerationShift;
        const std::uint64_t generation = (generation_of(word) + 1) & kMask;
        next = ((generation == 0 ? 1 : generation) << kGenerationShift) | kClosing;
    } while (!word_.compare_exchange_weak(word, next, std::memory_order_acq_rel,
                                          std::memory_order_acquire));
    return (word & kWaiting) != 0;
}

}  // namespace websocket::engine
