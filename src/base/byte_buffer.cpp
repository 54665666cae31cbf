// SPDX-License-Identifier: Apache-2.0
#include "base/byte_buffer.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

namespace websocket::base {

namespace {
constexpr std::size_t kSmallest = 112;  // a block of 128 with its header
}

std::span<std::uint8_t> ByteBuffer::space(std::size_t wanted) {
    if (block_ == nullptr && wanted == 0) {
        return {};
    }
    const std::size_t used = size();
    if (wanted > capacity() - used) {
        if (wanted > SIZE_MAX / 2 - used) {
            throw std::bad_alloc();
        }
        const std::size_t larger = std::max({used + wanted, 2 * capacity(), kSmallest});
        auto* block = static_cast<Block*>(std::realloc(block_, sizeof(Block) + larger));
        if (block == nullptr) {
            throw std::bad_alloc();
        }
        block->size = used;
        block->capacity = larger;
        block_ = block;
    }
    return {data() + used, capacity() - used};
}

void ByteBuffer::append(std::span<const std::uint8_t> bytes) {
    if (bytes.empty()) {
        return;
    }
    std::memcpy(space(bytes.size()).data(), bytes.data(), bytes.size());
    commit(bytes.size());
}

void ByteBuffer::drop_front(std::size_t count) noexcept {
    if (count == 0) {
        return;
    }
    if (count >= size()) {
        reset();
        return;
    }
    block_->size -= count;
    std::memmove(data(), data() + count, block_->size);
}

void ByteBuffer::reset() noexcept {
    std::free(block_);
    block_ = nullptr;
}

}  // namespace websocket::base
