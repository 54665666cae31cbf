// SPDX-License-Identifier: Apache-2.0
#include "engine/slot_table.hpp"

namespace websocket::engine {

SlotTable::~SlotTable() {
    for (std::atomic<Chunk*>& chunk : chunks_) {
        delete chunk.load(std::memory_order_relaxed);
    }
    for (std::atomic<DeflateChunk*>& chunk : deflate_) {
        delete chunk.load(std::memory_order_relaxed);
    }
}

std::optional<std::uint32_t> SlotTable::take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) {
        const std::uint32_t first = capacity_.load(std::memory_order_relaxed);
        if (first == ConnectionId::kMaxSlots) {
            return {};
        }
        free_.reserve(first + kChunk);  // so that give_back() never allocates
        auto chunk = std::make_unique<Chunk>();
        chunks_.at(first / kChunk).store(chunk.release(), std::memory_order_release);
        for (std::uint32_t i = kChunk; i > 0; --i) {
            free_.push_back(first + i - 1);
        }
        capacity_.store(first + kChunk, std::memory_order_release);
    }
    const std::uint32_t index = free_.back();
    if (DeflateChunk* chunk = deflate_.at(index / kChunk).load(std::memory_order_relaxed)) {
        chunk->at(index % kChunk).store({}, std::memory_order_relaxed);
    }
    free_.pop_back();
    return index;
}

void SlotTable::give_back(std::uint32_t index) noexcept {
    const std::lock_guard lock(mutex_);
    free_.push_back(index);
}

void SlotTable::set_deflate(std::uint32_t index, const protocol::DeflateSettings& settings) {
    const std::lock_guard lock(mutex_);
    std::atomic<DeflateChunk*>& place = deflate_.at(index / kChunk);
    if (place.load(std::memory_order_relaxed) == nullptr) {
        place.store(new DeflateChunk(), std::memory_order_release);
    }
    place.load(std::memory_order_relaxed)
        ->at(index % kChunk)
        .store(settings, std::memory_order_relaxed);
}

}  // namespace websocket::engine
