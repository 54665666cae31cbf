// SPDX-License-Identifier: Apache-2.0
// Small frames that one read provokes leave in one write.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "protocol/frame.hpp"

namespace websocket::engine {

class Connection;

/// One a loop: a fixed buffer that collects encoded frames for one connection at a time. [loop]
class Cork {
public:
    static constexpr std::size_t kCapacity = 64U << 10;
    /// Copying more than this costs more than a write of its own.
    static constexpr std::size_t kLargestFrame = 8U << 10;

    Cork() : bytes_(new std::uint8_t[kCapacity]) {}

    /// Whose frames are collected now; null for nobody's.
    [[nodiscard]] Connection* owner() const noexcept { return owner_; }
    /// Nothing is collected.
    void set_owner(Connection* owner) noexcept { owner_ = owner; }

    /// Collects a frame, unless it is too large, or would not fit.
    [[nodiscard]] bool append(protocol::Opcode opcode, std::span<const std::uint8_t> payload,
                              bool compressed = false) noexcept {
        if (!has_room(protocol::kMaxUnmaskedHeader + payload.size())) {
            return false;
        }
        std::uint8_t* const begin = bytes_.get();
        std::uint8_t* const body =
            protocol::put_header(begin + size_, opcode, payload.size(), true, compressed);
        size_ = static_cast<std::size_t>(std::copy(payload.begin(), payload.end(), body) - begin);
        return true;
    }
    /// The same with a frame that is encoded.
    [[nodiscard]] bool append(std::span<const std::uint8_t> frame) noexcept {
        if (!has_room(frame.size())) {
            return false;
        }
        std::copy(frame.begin(), frame.end(), bytes_.get() + size_);
        size_ += frame.size();
        return true;
    }
    [[nodiscard]] std::span<const std::uint8_t> bytes() const noexcept {
        return {bytes_.get(), size_};
    }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    void clear() noexcept { size_ = 0; }

private:
    [[nodiscard]] bool has_room(std::size_t bytes) const noexcept {
        return bytes <= kLargestFrame && bytes <= kCapacity - size_;
    }

    std::unique_ptr<std::uint8_t[]> bytes_;
    std::size_t size_ = 0;
    Connection* owner_ = nullptr;
};

/// While it lives, small frames for `connection` are collected; then they are written. May be nested: the
/// outer connection's leave first. [loop]
class Corked {
public:
    Corked(Cork& cork, Connection& connection) noexcept;
    ~Corked();
    Corked(const Corked&) = delete;
    Corked& operator=(const Corked&) = delete;

private:
    Cork& cork_;
    Connection* const outer_;  ///< whose frames were collected before, or null
};

}  // namespace websocket::engine
