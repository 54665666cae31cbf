// SPDX-License-Identifier: Apache-2.0
#include "engine/shared_frame.hpp"

#include <algorithm>
#include <memory>
#include <new>

namespace websocket::engine {

namespace {

/// Where one more small frame follows, others do.
constexpr std::size_t kLeastSpare = 2048;
/// What is copied rather than kept in memory of its own.
constexpr std::size_t kSmall = 512;

/// Bytes of the shortest header.
constexpr std::size_t kBase = 2;

/// Of a header with this second byte, as a server writes it.
std::size_t header_size(std::uint8_t length) noexcept {
    switch (length) {
        case protocol::kLength16: return kBase + 2;
        case protocol::kLength64: return kBase + 8;
        default: return kBase;
    }
}

}  // namespace

SharedFrame::~SharedFrame() {
    if (block_ != nullptr && block_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        free_block(block_);
    }
}

void SharedFrame::free_block(Block* block) noexcept {
    const Variant* variant = block->variants.load(std::memory_order_relaxed);
    while (variant != nullptr) {
        const std::unique_ptr<const Variant> owner(std::exchange(variant, variant->next));
    }
    block->~Block();
    ::operator delete(block);
}

SharedFrame SharedFrame::build(protocol::Opcode opcode, std::span<const std::uint8_t> payload,
                               bool fin, bool compressed) {
    return join(protocol::EncodedHeader(opcode, payload.size(), fin, compressed).bytes(), payload);
}

std::span<const std::uint8_t> SharedFrame::payload() const noexcept {
    return bytes().subspan(header_size(bytes()[1]));
}

bool SharedFrame::is_whole() const noexcept {
    const std::size_t size = bytes().size();
    if (size < kBase || size < header_size(bytes()[1])) {
        return false;
    }
    const protocol::EncodedHeader header(opcode(), payload().size());
    return header.bytes().size() + payload().size() == size &&
           std::equal(header.bytes().begin() + 1, header.bytes().end(), bytes().begin() + 1);
}

const SharedFrame::Variant* SharedFrame::variant(std::uint32_t key) const noexcept {
    const Variant* variant = block_->variants.load(std::memory_order_acquire);
    while (variant != nullptr && variant->key != key) {
        variant = variant->next;
    }
    return variant;
}

const SharedFrame::Variant& SharedFrame::add_variant(std::uint32_t key, SharedFrame frame) const {
    auto variant = std::make_unique<Variant>(
        Variant{key, std::move(frame), block_->variants.load(std::memory_order_relaxed)});
    while (!block_->variants.compare_exchange_weak(variant->next, variant.get(),
                                                   std::memory_order_acq_rel)) {
    }
    return *variant.release();
}

SharedFrame SharedFrame::join(std::span<const std::uint8_t> first,
                              std::span<const std::uint8_t> second) {
    SharedFrame frame = unwritten(first.size() + second.size());
    const auto end = std::copy(first.begin(), first.end(), frame.writable().begin());
    std::copy(second.begin(), second.end(), end);
    return frame;
}

void SharedFrame::append(std::span<const std::uint8_t> header,
                         std::span<const std::uint8_t> payload) {
    const std::size_t size = block_->size;
    const std::size_t more = header.size() + payload.size();
    if (block_->spare < more) {
        SharedFrame larger = with_room(size, static_cast<std::uint32_t>(size + more + kLeastSpare));
        std::copy(bytes().begin(), bytes().end(), data(larger.block_));
        *this = std::move(larger);
    }
    std::copy(payload.begin(), payload.end(),
              std::copy(header.begin(), header.end(), data(block_) + size));
    block_->size += more;
    block_->spare -= static_cast<std::uint32_t>(more);
}

bool SharedFrame::take(const SharedFrame& next) {
    const std::span<const std::uint8_t> more = next.bytes();
    const bool cheap = block_->spare >= more.size() || block_->size <= kSmall;
    if (more.size() > kSmall || !cheap || !only() || !next.only()) {
        return false;
    }
    append(more, {});
    return true;
}

SharedFrame SharedFrame::unwritten(std::size_t size) { return with_room(size, 0); }

SharedFrame SharedFrame::with_room(std::size_t size, std::uint32_t spare) {
    return SharedFrame(new (::operator new(sizeof(Block) + size + spare)) Block{{1}, spare, size});
}

}  // namespace websocket::engine
