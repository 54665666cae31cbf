// SPDX-License-Identifier: Apache-2.0
#include "engine/shared_deflate.hpp"

#include <algorithm>
#include <new>
#include <utility>

namespace websocket::engine {

using base::ByteBuffer;
using protocol::Inflater;

namespace {

std::uint32_t key_of(const protocol::DeflaterShape& shape) noexcept {
    return std::uint32_t{shape.window_bits} << 16 | std::uint32_t{shape.level} << 8 |
           shape.memory_level;
}

/// Empty, and not larger than what is worth keeping.
base::ByteBuffer& made_empty(base::ByteBuffer& buffer, std::size_t largest) noexcept {
    if (buffer.capacity() > largest) {
        buffer.reset();
    }
    buffer.clear();
    return buffer;
}

}  // namespace

SharedDeflate::Compressor::Compressor(const protocol::DeflaterShape& shape)
    : shape_(shape),
      fast_(shape.level == 1 ? protocol::FastDeflater::make(shape.window_bits) : nullptr) {
    if (fast_ == nullptr) {
        plain_.emplace(shape);
    }
}

bool SharedDeflate::Compressor::deflate(std::span<const std::uint8_t> part, bool last,
                                        ByteBuffer& out, std::size_t limit) {
    return fast_ != nullptr ? fast_->deflate(part, last, out, limit)
                            : plain_->deflate(part, last, out, limit);
}

void SharedDeflate::Compressor::reset() noexcept {
    fast_ != nullptr ? fast_->reset() : plain_->reset();
}

/// Empty when it is not worth it.
SharedFrame SharedDeflate::deflated(protocol::Opcode opcode, std::span<const std::uint8_t> payload,
                                    const protocol::DeflateSettings& settings) {
    std::unique_ptr<Compressor> compressor = take(shape_of(settings));
    base::ByteBuffer& out = compressor->buffer;
    SharedFrame frame;
    if (compressor->deflate(payload, true, out, payload.size())) {
        frame = SharedFrame::build(opcode, out.bytes(), true, true);
    }
    give_back(std::move(compressor));
    return frame;
}

SharedFrame SharedDeflate::build(protocol::Opcode opcode, std::span<const std::uint8_t> payload,
                                 const protocol::DeflateSettings& settings) {
    try {
        if (SharedFrame frame = deflated(opcode, payload, settings)) {
            return frame;
        }
    } catch (const std::bad_alloc&) {
        // There may be enough for the message as it is.
    }
    return SharedFrame::build(opcode, payload);
}

SharedFrame SharedDeflate::wire_form(const SharedFrame& plain,
                                     const protocol::DeflateSettings& settings) noexcept {
    const std::uint32_t key = key_of(shape_of(settings));
    try {
        const SharedFrame::Variant* variant = plain.variant(key);
        if (variant == nullptr) {
            variant = &plain.add_variant(key, deflated(plain.opcode(), plain.payload(), settings));
        }
        return variant->frame ? variant->frame : plain;
    } catch (const std::bad_alloc&) {
        return plain;
    }
}

bool SharedDeflate::deflate(std::span<const std::uint8_t> part, bool last, base::ByteBuffer& out,
                            std::size_t limit, const protocol::DeflateSettings& settings) {
    std::unique_ptr<Compressor> compressor = take(shape_of(settings));
    const bool smaller = compressor->deflate(part, last, out, limit);
    give_back(std::move(compressor));
    return smaller;
}

std::unique_ptr<SharedDeflate::Compressor>
SharedDeflate::take(const protocol::DeflaterShape& shape) {
    compressed_.store(true, std::memory_order_relaxed);
    std::unique_ptr<Compressor> compressor;
    {
        const std::lock_guard lock(mutex_);
        compressors_.reserve(kKept);  // so that give_back() never allocates
        const auto found =
            std::ranges::find(compressors_, shape, [](const auto& kept) { return kept->shape(); });
        if (found != compressors_.end()) {
            compressor = std::move(*found);
            compressors_.erase(found);
        }
    }
    if (compressor == nullptr) {
        return std::make_unique<Compressor>(shape);
    }
    compressor->reset();
    made_empty(compressor->buffer, kLargestKept);
    return compressor;
}

void SharedDeflate::give_back(std::unique_ptr<Compressor> compressor) noexcept {
    made_empty(compressor->buffer, kLargestKept);
    const std::lock_guard lock(mutex_);
    if (compressors_.size() == kKept) {
        std::swap(compressors_.front(), compressor);  // perhaps nobody wants that shape any more
        std::rotate(compressors_.begin(), compressors_.begin() + 1, compressors_.end());
    } else {
        compressors_.push_back(std::move(compressor));
    }
}

std::unique_ptr<Inflater> SharedDeflate::take_inflater() {
    inflated_ = true;
    inflaters_.reserve(kKept);
    if (inflaters_.empty()) {
        return std::make_unique<Inflater>(protocol::kMaxWindowBits);
    }
    std::unique_ptr<Inflater> inflater = std::move(inflaters_.back());
    inflaters_.pop_back();
    inflater->reset();
    return inflater;
}

void SharedDeflate::give_back(std::unique_ptr<Inflater> inflater) noexcept {
    if (inflaters_.size() < kKept) {
        inflaters_.push_back(std::move(inflater));
    }
}

base::ByteBuffer& SharedDeflate::inflate_buffer() noexcept {
    inflated_ = true;
    return made_empty(inflate_buffer_, kLargestKept);
}

base::ByteBuffer& SharedDeflate::deflate_buffer() noexcept {
    compressed_.store(true, std::memory_order_relaxed);
    return made_empty(deflate_buffer_, kLargestKept);
}

void SharedDeflate::trim(Tick now) noexcept {
    if (inflated_ || compressed_.load(std::memory_order_relaxed)) {
        inflated_ = false;
        compressed_.store(false, std::memory_order_relaxed);
        last_use_ = now;
        return;
    }
    if (net::before(now, last_use_ + to_ticks(kIdle))) {
        return;
    }
    last_use_ = now;
    inflaters_.clear();
    inflate_buffer_.reset();
    deflate_buffer_.reset();
    std::vector<std::unique_ptr<Compressor>> idle;
    const std::lock_guard lock(mutex_);
    compressors_.swap(idle);
}

}  // namespace websocket::engine
