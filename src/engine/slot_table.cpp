// SPDX-License-Identifier: Apache-2.0
#include "engine/slot_table.hpp"

namespace websocket::engine {

SlotTable::~SlotTable() {
    for (std::atomic<Chunk*>& chunk : chunks_) {
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
    free_.pop_back();
    return index;
}

void SlotTable::give_back(std::uint32_t index) noexcept {
    const std::lock_guard lock(mutex_);
    free_.push_back(index);
}

Slot* SlotTable::find(std::uint32_t index) noexcept {
    if (index >= ConnectionId::kMaxSlots) {
        return nullptr;
    }
    Chunk* chunk = chunks_.at(index / kChunk).load(std::memory_order_acquire);
    return chunk != nullptr ? &chunk->at(index % kChunk) : nullptr;
}

}  // namespace websocket::engine
