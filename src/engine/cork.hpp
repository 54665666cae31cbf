// SPDX-License-Identifier: Apache-2.0
// Small frames that one read provokes leave in one write.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace websocket::engine {

/// A fixed buffer that collects encoded frames for one connection at a time. [loop]
class CorkBuffer {
public:
    static constexpr std::size_t kCapacity = 64U << 10;
    /// Copying more than this costs more than a write of its own.
    static constexpr std::size_t kLargestFrame = 8U << 10;

    CorkBuffer() : bytes_(new std::uint8_t[kCapacity]) {}

    /// Whether a frame of `octets` should be collected, and can be.
    [[nodiscard]] bool takes(std::size_t octets) const noexcept {
        return octets <= kLargestFrame && octets <= kCapacity - size_;
    }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

    /// takes() has said yes to `bytes`, or to the frame that they are part of.
    void append(std::span<const std::uint8_t> bytes) noexcept {
        std::copy(bytes.begin(), bytes.end(), bytes_.get() + size_);
        size_ += bytes.size();
    }
    [[nodiscard]] std::span<const std::uint8_t> bytes() const noexcept {
        return {bytes_.get(), size_};
    }
    void clear() noexcept { size_ = 0; }

private:
    std::unique_ptr<std::uint8_t[]> bytes_;
    std::size_t size_ = 0;
};

}  // namespace websocket::engine
