// SPDX-License-Identifier: Apache-2.0
#include "shm/block_pool.hpp"

#include <algorithm>

namespace websocket::shm {

BlockPool::Index BlockPool::take(std::size_t bytes) const noexcept {
    Index first = 0;
    for (std::size_t missing = blocks_for(bytes); missing > 0; --missing) {
        Index index = header_->free;
        if (index != 0) {
            header_->free = block(index).next;
            --header_->free_count;
        } else {
            index = ++header_->fresh;
        }
        block(index).next = first;
        first = index;
    }
    return first;
}

void BlockPool::put_back(Index index) const noexcept {
    block(index).next = header_->free;
    header_->free = index;
    ++header_->free_count;
}

std::size_t BlockPool::give_back(Index first) const noexcept {
    std::size_t freed = 0;
    while (first != 0) {
        const Index next = block(first).next;
        put_back(first);
        first = next;
        ++freed;
    }
    return freed;
}

// --- recovery ------------------------------------------------------------------------------------

void BlockPool::begin_recovery() const noexcept {
    header_->fresh = std::min(header_->fresh, count_);
    for (Index index = 1; index <= header_->fresh; ++index) {
        block(index).kept = 0;
    }
}

bool BlockPool::keep(Index first) const noexcept {
    if (block(first).kept != 0) {
        return false;
    }
    for (; first != 0; first = block(first).next) {
        block(first).kept = 1;
    }
    return true;
}

void BlockPool::end_recovery() const noexcept {
    header_->free = 0;
    header_->free_count = 0;
    for (Index index = 1; index <= header_->fresh; ++index) {
        if (block(index).kept == 0) {
            put_back(index);
        }
    }
}

// --- bytes ---------------------------------------------------------------------------------------

template <class Part>
bool BlockPool::Cursor::walk(std::size_t size, Part part) noexcept {
    while (size > 0) {
        while (at_ >= kPayload) {
            block_ = pool_.block(block_).next;
            at_ -= kPayload;
        }
        const std::size_t n = std::min(size, kPayload - at_);
        if (!part(pool_.block(block_).bytes.data() + at_, n)) {
            return false;
        }
        at_ += n;
        size -= n;
    }
    return true;
}

void BlockPool::Cursor::write(std::span<const std::uint8_t> bytes) noexcept {
    walk(bytes.size(), [&](std::byte* place, std::size_t n) {
        std::memcpy(place, bytes.data(), n);
        bytes = bytes.subspan(n);
        return true;
    });
}

void BlockPool::Cursor::read(std::span<std::uint8_t> into) noexcept {
    walk(into.size(), [&](const std::byte* place, std::size_t n) {
        std::memcpy(into.data(), place, n);
        into = into.subspan(n);
        return true;
    });
}

bool BlockPool::Cursor::equals(std::span<const std::uint8_t> bytes) noexcept {
    return walk(bytes.size(), [&](const std::byte* place, std::size_t n) {
        const bool same = std::memcmp(place, bytes.data(), n) == 0;
        bytes = bytes.subspan(n);
        return same;
    });
}

}  // namespace websocket::shm
