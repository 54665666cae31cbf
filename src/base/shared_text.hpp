// SPDX-License-Identifier: Apache-2.0
// Bytes that many have alike, once.
#pragma once

#include <cstddef>
#include <string_view>
#include <utility>

namespace websocket::base {

/// Immutable bytes. Of those that are equal the process has one copy, as long as somebody has it. One that
/// nobody else has costs some 64 bytes more than the bytes. Clients may have a say in what they are: the
/// hash has a secret key. [any thread]
class SharedText {
public:
    SharedText() noexcept = default;
    /// Throws std::bad_alloc.
    explicit SharedText(std::string_view bytes);
    SharedText(SharedText&& from) noexcept : block_(std::exchange(from.block_, nullptr)) {}
    SharedText& operator=(SharedText&& from) noexcept {
        std::swap(block_, from.block_);
        return *this;
    }
    SharedText(const SharedText&) = delete;
    SharedText& operator=(const SharedText&) = delete;
    ~SharedText();

    /// Aligned as std::max_align_t is; null when it was default-constructed.
    [[nodiscard]] const char* data() const noexcept;

    /// How many there are that differ.
    [[nodiscard]] static std::size_t count() noexcept;

    struct Block;

private:
    Block* block_ = nullptr;
};

}  // namespace websocket::base
