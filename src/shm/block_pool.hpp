// SPDX-License-Identifier: Apache-2.0
// Memory that processes share, in blocks of one size: what is longer is a chain of them.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <span>
#include <type_traits>

namespace websocket::shm {

/// A handle on blocks in shared memory, under a lock of whoever uses them. Nothing fragments. Which blocks are free is
/// derived from what is in use, so that a process may be killed at any instruction: begin_recovery(), keep() for each
/// chain that is reachable, end_recovery(). Memory is used as far as it is touched.
class BlockPool {
public:
    using Index = std::uint32_t;  ///< of a block; 0 for none
    static constexpr std::size_t kBlock = 256;

private:
    struct Block {
        Index next;
        std::uint32_t kept;
        std::array<std::byte, kBlock - 2 * sizeof(Index)> bytes;
    };
    static_assert(sizeof(Block) == kBlock);

public:
    static constexpr std::size_t kPayload = sizeof(Block::bytes);

    /// What stands in front of the blocks; zeros are a pool without any in use.
    struct Header {
        Index fresh;  ///< blocks from here on were never used; counted from 0
        Index free;   ///< the first of those that were
        std::uint32_t free_count;
    };

    BlockPool() noexcept = default;
    /// `memory` has room for `blocks` of them and is aligned for any type.
    BlockPool(Header& header, void* memory, std::uint32_t blocks) noexcept
        : header_(&header), blocks_(static_cast<Block*>(memory)), count_(blocks) {}

    [[nodiscard]] static constexpr std::size_t blocks_for(std::size_t bytes) noexcept {
        return bytes == 0 ? 1 : (bytes + kPayload - 1) / kPayload;
    }
    [[nodiscard]] std::uint32_t count() const noexcept { return count_; }
    [[nodiscard]] std::size_t available() const noexcept {
        return count_ - header_->fresh + std::size_t{header_->free_count};
    }

    [[nodiscard]] std::size_t bytes_used() const noexcept {
        return (count_ - available()) * kBlock;
    }

    /// A chain for so many bytes; there are enough blocks available().
    [[nodiscard]] Index take(std::size_t bytes) const noexcept;
    /// Returns how many blocks are free now that were not.
    std::size_t give_back(Index first) const noexcept;

    /// The object with which a chain begins: it fits one block.
    template <class T>
    [[nodiscard]] T& at(Index first) const noexcept {
        static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= kPayload);
        return *std::launder(reinterpret_cast<T*>(block(first).bytes.data()));
    }
    /// Makes one there.
    template <class T>
    T& make(Index first, const T& value) const noexcept {
        return *new (block(first).bytes.data()) T(value);
    }

    /// Bytes of a chain, one part behind the other.
    class Cursor {
    public:
        Cursor(const BlockPool& pool, Index first, std::size_t offset) noexcept
            : pool_(pool), block_(first), at_(offset) {}
        void write(std::span<const std::uint8_t> bytes) noexcept;
        void read(std::span<std::uint8_t> into) noexcept;
        [[nodiscard]] bool equals(std::span<const std::uint8_t> bytes) noexcept;

    private:
        /// Calls part(place, n) for the blocks that the next `size` bytes lie in, until it says false.
        template <class Part>
        bool walk(std::size_t size, Part part) noexcept;

        const BlockPool& pool_;
        Index block_;
        std::size_t at_;  // in the block
    };
    [[nodiscard]] Cursor cursor(Index first, std::size_t offset) const noexcept {
        return {*this, first, offset};
    }

    void begin_recovery() const noexcept;
    /// False when it is kept already.
    bool keep(Index first) const noexcept;
    void end_recovery() const noexcept;

    /// For the words that say what is reachable: done at once, and in the order of the program, also for who looks after
    /// this process was killed.
    static void set(Index& word, Index value) noexcept {
        std::atomic_signal_fence(std::memory_order_seq_cst);
        std::atomic_ref(word).store(value, std::memory_order_release);
        std::atomic_signal_fence(std::memory_order_seq_cst);
    }

private:
    [[nodiscard]] Block& block(Index index) const noexcept { return blocks_[index - 1]; }
    void put_back(Index index) const noexcept;

    Header* header_ = nullptr;
    Block* blocks_ = nullptr;
    std::uint32_t count_ = 0;
};

}  // namespace websocket::shm
