// SPDX-License-Identifier: Apache-2.0
// The slots that connection ids name. Their memory is never given back, so any thread may look at
// the gate of any id at any time.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "engine/connection_id.hpp"
#include "engine/gate.hpp"
#include "protocol/deflate_settings.hpp"

namespace websocket::engine {

class Channel;

struct Slot {
    Gate gate;
    Channel* channel = nullptr;  ///< being served; touched by the loop only
};

class SlotTable {
public:
    SlotTable() = default;
    SlotTable(const SlotTable&) = delete;
    SlotTable& operator=(const SlotTable&) = delete;
    ~SlotTable();

    /// Index of a free slot, nothing when all ConnectionId::kMaxSlots are taken. Throws
    /// std::bad_alloc. [any thread]
    [[nodiscard]] std::optional<std::uint32_t> take();

    /// The slot's gate has been retired. [any thread]
    void give_back(std::uint32_t index) noexcept;

    /// No slot of this index or a higher one was ever taken. [any thread]
    [[nodiscard]] std::uint32_t capacity() const noexcept {
        return capacity_.load(std::memory_order_acquire);
    }

    /// Null when no slot of this index was ever taken. [any thread]
    [[nodiscard]] Slot* find(std::uint32_t index) noexcept {
        if (index >= ConnectionId::kMaxSlots) {
            return nullptr;
        }
        Chunk* chunk = chunks_[index / kChunk].load(std::memory_order_acquire);
        return chunk != nullptr ? &(*chunk)[index % kChunk] : nullptr;
    }

    /// What the slot's connection has agreed on about compression. A sender with a stale id may see
    /// that of the next connection, but then its gate does not let it in. [any thread]
    [[nodiscard]] protocol::DeflateSettings deflate(std::uint32_t index) const noexcept {
        const DeflateChunk* chunk = deflate_.at(index / kChunk).load(std::memory_order_acquire);
        return chunk != nullptr ? chunk->at(index % kChunk).load(std::memory_order_relaxed)
                                : protocol::DeflateSettings{};
    }
    /// Before anybody else knows the connection's id as that of an open one. Throws std::bad_alloc.
    void set_deflate(std::uint32_t index, const protocol::DeflateSettings& settings);

    /// Calls `visit(Channel&)` for each that is being served. [loop]
    template <class Visit>
    void for_each(Visit visit) {
        for (std::uint32_t i = 0; i < capacity_.load(std::memory_order_acquire); ++i) {
            if (Channel* channel = find(i)->channel) {
                visit(*channel);
            }
        }
    }

    /// Calls `bool visit(Channel&)` for those in the slots from `cursor` on, in order, and moves the
    /// cursor behind them. Stops at a channel for which it returns false, which is then the next
    /// one. True when `most` slots were passed and there are more. [loop]
    template <class Visit>
    [[nodiscard]] bool for_some(std::uint32_t& cursor, std::uint32_t most, Visit visit) {
        const std::uint32_t end = capacity();
        for (std::uint32_t passed = 0; cursor < end; ++cursor, ++passed) {
            if (passed == most) {
                return true;
            }
            Channel* channel = find(cursor)->channel;
            if (channel != nullptr && !visit(*channel)) {
                return false;
            }
        }
        return false;
    }

private:
    static constexpr std::uint32_t kChunk = 1024;
    using Chunk = std::array<Slot, kChunk>;
    using DeflateChunk = std::array<std::atomic<protocol::DeflateSettings>, kChunk>;

    std::array<std::atomic<Chunk*>, ConnectionId::kMaxSlots / kChunk> chunks_{};
    /// Beside the slots: those who compress nothing do not pay for it.
    std::array<std::atomic<DeflateChunk*>, ConnectionId::kMaxSlots / kChunk> deflate_{};
    std::atomic<std::uint32_t> capacity_{0};
    std::mutex mutex_;  // guards free_ and the growth of chunks_ and deflate_
    std::vector<std::uint32_t> free_;
};

}  // namespace websocket::engine
