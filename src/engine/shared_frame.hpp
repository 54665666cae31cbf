// SPDX-License-Identifier: Apache-2.0
// An encoded frame that any number of outboxes may hold.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "protocol/frame.hpp"

namespace websocket::engine {

/// Reference to immutable wire bytes: one allocation with the counter in front. Copying shares.
/// The references may live in different threads.
class SharedFrame {
public:
    SharedFrame() noexcept = default;
    SharedFrame(const SharedFrame& other) noexcept : block_(other.block_) {
        if (block_ != nullptr) {
            block_->references.fetch_add(1, std::memory_order_relaxed);
        }
    }
    SharedFrame(SharedFrame&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
    SharedFrame& operator=(SharedFrame other) noexcept {
        std::swap(block_, other.block_);
        return *this;
    }
    ~SharedFrame();

    /// One frame, which ends its message or does not. Throws std::bad_alloc. [any thread]
    [[nodiscard]] static SharedFrame build(protocol::Opcode opcode,
                                           std::span<const std::uint8_t> payload, bool fin = true);

    /// Bytes that are encoded already, in the order given. Throws std::bad_alloc. [any thread]
    [[nodiscard]] static SharedFrame join(std::span<const std::uint8_t> first,
                                          std::span<const std::uint8_t> second);

    /// Room for a frame that is received piece by piece. Throws std::bad_alloc. [any thread]
    [[nodiscard]] static SharedFrame unwritten(std::size_t size);
    /// What unwritten() has made, as long as no copy of this reference exists.
    [[nodiscard]] std::span<std::uint8_t> writable() noexcept {
        return {data(block_), block_->size};
    }

    [[nodiscard]] std::span<const std::uint8_t> bytes() const noexcept {
        return block_ != nullptr ? std::span{data(block_), block_->size}
                                 : std::span<const std::uint8_t>{};
    }
    [[nodiscard]] explicit operator bool() const noexcept { return block_ != nullptr; }

private:
    struct Block {
        std::atomic<std::uint32_t> references;
        std::size_t size;
    };
    explicit SharedFrame(Block* block) noexcept : block_(block) {}
    [[nodiscard]] static std::uint8_t* data(Block* block) noexcept {
        return reinterpret_cast<std::uint8_t*>(block + 1);
    }

    Block* block_ = nullptr;
};

}  // namespace websocket::engine
