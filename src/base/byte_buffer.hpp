// SPDX-License-Identifier: Apache-2.0
// A growable run of bytes that is one pointer wide, so that an idle connection pays nothing for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace websocket::base {

/// Owns uninitialised-until-written bytes on the C heap. Growth doubles, so appending is linear in
/// what was really received, whatever length a peer announced. Throws std::bad_alloc.
class ByteBuffer {
public:
    ByteBuffer() noexcept = default;
    ByteBuffer(ByteBuffer&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
    ByteBuffer& operator=(ByteBuffer&& other) noexcept {
        std::swap(block_, other.block_);
        return *this;
    }
    ByteBuffer(const ByteBuffer&) = delete;
    ByteBuffer& operator=(const ByteBuffer&) = delete;
    ~ByteBuffer() { reset(); }

    [[nodiscard]] std::size_t size() const noexcept { return block_ != nullptr ? block_->size : 0; }
    [[nodiscard]] std::size_t capacity() const noexcept {
        return block_ != nullptr ? block_->capacity : 0;
    }
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }
    [[nodiscard]] std::span<std::uint8_t> bytes() noexcept {
        return block_ != nullptr ? std::span{data(), block_->size} : std::span<std::uint8_t>{};
    }

    void append(std::span<const std::uint8_t> bytes);

    /// Room of at least `wanted` bytes behind the last one; becomes content by commit().
    [[nodiscard]] std::span<std::uint8_t> space(std::size_t wanted);
    void commit(std::size_t size) noexcept { block_->size += size; }

    /// Makes room for `total` bytes in all, so that appending them copies nothing twice.
    void reserve(std::size_t total) {
        static_cast<void>(space(total > size() ? total - size() : 0));
    }

    /// Forgets the first `count` bytes.
    void drop_front(std::size_t count) noexcept;

    /// Forgets the last `count` bytes, of which there are as many.
    void drop_back(std::size_t count) noexcept { block_->size -= count; }

    /// Forgets all bytes and keeps the memory.
    void clear() noexcept {
        if (block_ != nullptr) {
            block_->size = 0;
        }
    }

    /// Frees the memory.
    void reset() noexcept;

private:
    struct Block {
        std::size_t size;
        std::size_t capacity;
    };
    [[nodiscard]] std::uint8_t* data() noexcept {
        return reinterpret_cast<std::uint8_t*>(block_ + 1);
    }

    Block* block_ = nullptr;
};

}  // namespace websocket::base
