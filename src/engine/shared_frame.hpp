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

    /// One frame, which ends its message or does not; `compressed` as in EncodedHeader. Throws
    /// std::bad_alloc. [any thread]
    [[nodiscard]] static SharedFrame build(protocol::Opcode opcode,
                                           std::span<const std::uint8_t> payload, bool fin = true,
                                           bool compressed = false);

    /// Bytes that are encoded already, in the order given. Throws std::bad_alloc. [any thread]
    [[nodiscard]] static SharedFrame join(std::span<const std::uint8_t> first,
                                          std::span<const std::uint8_t> second);

    /// Puts the bytes of another whole frame behind these. Only while no copy of this reference exists. Throws
    /// std::bad_alloc and is then unchanged. [any thread]
    void append(std::span<const std::uint8_t> header, std::span<const std::uint8_t> payload);

    /// Takes the bytes of `next` behind these if both references are the only ones and little has to be copied. False
    /// and unchanged otherwise. Throws std::bad_alloc and is then unchanged. [any thread]
    [[nodiscard]] bool take(const SharedFrame& next);

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
    /// Of a frame, not of several.
    [[nodiscard]] protocol::Opcode opcode() const noexcept {
        return static_cast<protocol::Opcode>(bytes()[0] & protocol::kOpcodeBits);
    }
    [[nodiscard]] std::span<const std::uint8_t> payload() const noexcept;
    /// Whether the bytes are one frame as a server writes it. The others that look into a frame are for such ones.
    [[nodiscard]] bool is_whole() const noexcept;
    /// A whole text or binary message, not compressed.
    [[nodiscard]] bool is_plain_message() const noexcept {
        const std::uint8_t first = bytes()[0];
        return (first & ~protocol::kOpcodeBits) == protocol::kFin &&
               (opcode() == protocol::Opcode::text || opcode() == protocol::Opcode::binary);
    }

    /// Another encoding of the same message, kept with it so that it is made once for all who want
    /// it. `key` names it; an empty `frame` says that it is not worth having. [any thread]
    struct Variant;
    /// Null when nobody has added it.
    [[nodiscard]] const Variant* variant(std::uint32_t key) const noexcept;
    /// Throws std::bad_alloc.
    const Variant& add_variant(std::uint32_t key, SharedFrame frame) const;

    [[nodiscard]] explicit operator bool() const noexcept { return block_ != nullptr; }

private:
    struct Block {
        std::atomic<std::uint32_t> references;
        std::uint32_t spare;  ///< bytes of memory behind those that are used
        std::size_t size;
        std::atomic<const Variant*> variants{nullptr};  ///< grows at its head only
    };
    [[nodiscard]] bool only() const noexcept {
        return block_->references.load(std::memory_order_acquire) == 1;
    }
    [[nodiscard]] static SharedFrame with_room(std::size_t size, std::uint32_t spare);
    static void free_block(Block* block) noexcept;
    explicit SharedFrame(Block* block) noexcept : block_(block) {}
    [[nodiscard]] static std::uint8_t* data(Block* block) noexcept {
        return reinterpret_cast<std::uint8_t*>(block + 1);
    }

    Block* block_ = nullptr;
};

struct SharedFrame::Variant {
    std::uint32_t key;
    SharedFrame frame;
    const Variant* next;
};

}  // namespace websocket::engine
