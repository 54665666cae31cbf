// SPDX-License-Identifier: Apache-2.0
// Part of websocket_tcp.cpp: bytes that wait to be written.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tcp {

/// Appended at one end and consumed at the other. Owns no memory while it is empty. A byte is moved once on
/// average, however small the portions are that it is consumed in.
class ByteQueue {
public:
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }
    [[nodiscard]] std::size_t size() const noexcept { return bytes_.size() - consumed_; }
    /// Valid until the next change.
    [[nodiscard]] std::string_view front() const noexcept {
        return std::string_view(bytes_).substr(consumed_);
    }

    /// Throws std::bad_alloc.
    void append(std::string_view bytes) { bytes_ += bytes; }
    /// `count` is at most size().
    void consume(std::size_t count) noexcept {
        consumed_ += count;
        if (consumed_ == bytes_.size()) {
            clear();
        } else if (consumed_ >= bytes_.size() / 2) {
            bytes_.erase(0, consumed_);
            consumed_ = 0;
        }
    }
    void clear() noexcept {
        std::string().swap(bytes_);
        consumed_ = 0;
    }

private:
    std::string bytes_;
    std::size_t consumed_ = 0;
};

}  // namespace tcp
