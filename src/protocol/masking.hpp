// SPDX-License-Identifier: Apache-2.0
// Masking and unmasking (RFC 6455 section 5.3), which are the same, fused with the search for the first byte that is not ASCII.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace websocket::protocol {

using MaskKey = std::array<std::uint8_t, 4>;

/// The key as it applies to a payload that begins `offset` bytes into the frame.
[[nodiscard]] constexpr MaskKey rotate(MaskKey key, std::uint64_t offset) noexcept {
    return {key[offset & 3], key[(offset + 1) & 3], key[(offset + 2) & 3], key[(offset + 3) & 3]};
}

/// Unmasks `bytes` in place; bytes[0] belongs to key[0].
/// Returns an offset before which every byte is ASCII: `bytes.size()` when all are, else the start
/// of the block, of less than 128 bytes before it, that holds the first byte of 0x80 or above. [any thread]
std::size_t unmask(std::span<std::uint8_t> bytes, MaskKey key) noexcept;

/// The same, with what every processor has. [any thread]
std::size_t unmask_anywhere(std::span<std::uint8_t> bytes, MaskKey key) noexcept;

/// Masks `bytes` in place; bytes[0] belongs to key[0]. [any thread]
inline void mask(std::span<std::uint8_t> bytes, MaskKey key) noexcept {
    static_cast<void>(unmask(bytes, key));
}

}  // namespace websocket::protocol
