// SPDX-License-Identifier: Apache-2.0
#include "base/shared_text.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <random>
#include <unordered_set>

#include "base/sip_hash.hpp"

namespace websocket::base {

/// The bytes stand behind it.
struct alignas(std::max_align_t) SharedText::Block {
    std::uint64_t hash;
    std::uint32_t size;
    std::uint32_t users;

    [[nodiscard]] const char* bytes() const noexcept {
        return reinterpret_cast<const char*>(this + 1);
    }
    [[nodiscard]] char* bytes() noexcept { return reinterpret_cast<char*>(this + 1); }
};

namespace {

using Block = SharedText::Block;

struct Key {
    std::string_view bytes;
    std::uint64_t hash;
};

struct HashOf {
    using is_transparent = void;
    std::size_t operator()(const Key& key) const noexcept { return key.hash; }
    std::size_t operator()(const Block* block) const noexcept { return block->hash; }
};

struct SameBytes {
    using is_transparent = void;
    bool operator()(const Block* a, const Block* b) const noexcept { return a == b; }
    bool operator()(const Key& key, const Block* block) const noexcept {
        return key.hash == block->hash &&
               key.bytes == std::string_view(block->bytes(), block->size);
    }
    bool operator()(const Block* block, const Key& key) const noexcept {
        return (*this)(key, block);
    }
};

struct FreeBlock {
    void operator()(Block* block) const noexcept { ::operator delete(block); }
};

HashKey random_key() {
    std::random_device random;
    const auto word = [&random] { return std::uint64_t{random()} << 32 | random(); };
    return {word(), word()};
}

struct Table {
    const HashKey hash_key = random_key();
    std::mutex mutex;  // guards what follows, and the users of each block
    std::unordered_set<Block*, HashOf, SameBytes> blocks;
};

/// Never destroyed: threads may outlive static objects when a process ends.
Table& table() {
    static Table* const only = std::make_unique<Table>().release();
    return *only;
}

}  // namespace

SharedText::SharedText(std::string_view bytes) {
    if (bytes.size() > UINT32_MAX) {
        throw std::bad_alloc();
    }
    Table& all = table();
    const Key key{bytes, sip_hash(all.hash_key, bytes)};
    const std::lock_guard lock(all.mutex);
    if (const auto found = all.blocks.find(key); found != all.blocks.end()) {
        block_ = *found;
        ++block_->users;
        return;
    }
    void* memory = ::operator new(sizeof(Block) + bytes.size());
    std::unique_ptr<Block, FreeBlock> made(
        new (memory) Block{key.hash, static_cast<std::uint32_t>(bytes.size()), 1});
    std::copy(bytes.begin(), bytes.end(), made->bytes());
    all.blocks.insert(made.get());
    block_ = made.release();
}

SharedText::~SharedText() {
    if (block_ == nullptr) {
        return;
    }
    Table& all = table();
    std::unique_ptr<Block, FreeBlock> unused;  // freed without the lock
    const std::lock_guard lock(all.mutex);
    if (--block_->users == 0) {
        all.blocks.erase(block_);
        unused.reset(block_);
    }
}

const char* SharedText::data() const noexcept {
    return block_ != nullptr ? block_->bytes() : nullptr;
}

std::size_t SharedText::count() noexcept {
    Table& all = table();
    const std::lock_guard lock(all.mutex);
    return all.blocks.size();
}

}  // namespace websocket::base
