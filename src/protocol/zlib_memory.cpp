// SPDX-License-Identifier: Apache-2.0
#include "protocol/zlib_memory.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <functional>
#include <new>

namespace websocket::protocol {

namespace {

constexpr std::size_t kAlignment = alignof(std::max_align_t);
/// Where pages are larger the kernel refuses what is not aligned to them, which does no harm.
constexpr std::uintptr_t kPage = 4096;

/// What is in the whole pages of a block that nobody reads any more.
void drop_pages(std::uint8_t* block, std::size_t size) noexcept {
    const auto begin = reinterpret_cast<std::uintptr_t>(block);
    const std::uintptr_t first = (begin + kPage - 1) / kPage * kPage;
    const std::uintptr_t end = (begin + size) / kPage * kPage;
    if (first < end) {
        static_cast<void>(::madvise(block + (first - begin), end - first, MADV_DONTNEED));
    }
}

}  // namespace

ZlibMemory::ZlibMemory(std::size_t size)
    : block_(static_cast<std::uint8_t*>(::operator new(size))), size_(size) {}

ZlibMemory::~ZlibMemory() {
    drop_pages(block_, size_);
    ::operator delete(block_);
}

z_stream ZlibMemory::make_stream() noexcept {
    z_stream stream{};
    stream.opaque = this;
    stream.zalloc = [](void* memory, unsigned items, unsigned size) noexcept -> void* {
        return static_cast<ZlibMemory*>(memory)->take(std::size_t{items} * size);
    };
    stream.zfree = [](void* memory, void* part) noexcept {
        static_cast<ZlibMemory*>(memory)->give_back(part);
    };
    return stream;
}

void* ZlibMemory::take(std::size_t size) noexcept {
    if (size > size_ - used_) {
        return ::operator new(size, std::nothrow);
    }
    std::uint8_t* part = block_ + used_;
    used_ = std::min(size_, used_ + (size + kAlignment - 1) / kAlignment * kAlignment);
    return part;
}

void ZlibMemory::give_back(void* memory) const noexcept {
    const auto* part = static_cast<std::uint8_t*>(memory);
    const std::less<> before;
    if (before(part, block_) || !before(part, block_ + size_)) {
        ::operator delete(memory);
    }
}

}  // namespace websocket::protocol
