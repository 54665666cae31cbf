// SPDX-License-Identifier: Apache-2.0
#include "hub/subscriber_counts.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

namespace websocket::hub {

namespace {

constexpr unsigned kCountBits = 24;
static_assert(SubscriberCounts::kMost >> kCountBits == 0);

/// The bits that say least of which window it is.
constexpr std::uint64_t tag_of(std::uint64_t hash) noexcept { return hash >> kCountBits; }

}  // namespace

void SubscriberCounts::set(std::uint64_t hash, std::uint64_t subscribers) const noexcept {
    const std::uint64_t tag = tag_of(hash);
    Cell* free = nullptr;
    Cell* mine = nullptr;
    for (Cell& cell : window(hash)) {
        const std::uint64_t word = cell.load(std::memory_order_relaxed);
        if (word == 0) {
            free = free != nullptr ? free : &cell;
        } else if (word >> kCountBits == tag) {
            mine = &cell;
        }
    }
    if (Cell* cell = mine != nullptr ? mine : free) {
        cell->store(subscribers != 0 ? tag << kCountBits | std::min(subscribers, kMost) : 0);
    }
}

std::uint64_t SubscriberCounts::get(std::uint64_t hash) const noexcept {
    const std::uint64_t tag = tag_of(hash);
    for (const Cell& cell : window(hash)) {
        const std::uint64_t word = cell.load();
        if (word != 0 && word >> kCountBits == tag) {
            return word & kMost;
        }
    }
    return 0;
}

void SubscriberCounts::clear() const noexcept {
    void* memory = cells_.data();
    if (::madvise(memory, cells_.size_bytes(), MADV_REMOVE) != 0) {
        std::memset(memory, 0, cells_.size_bytes());
    }
}

}  // namespace websocket::hub
