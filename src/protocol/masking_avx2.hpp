// SPDX-License-Identifier: Apache-2.0
// Unmasking with the wide registers that most x86 processors have.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace websocket::protocol {

/// Bytes that are unmasked at a time.
inline constexpr std::size_t kAvx2Stride = 128;

/// Whether unmask_avx2() may be called here. [any thread]
[[nodiscard]] bool has_avx2() noexcept;

/// As unmask(), of a multiple of kAvx2Stride bytes; `key` has the bytes of the MaskKey in memory. Only where
/// has_avx2(). [any thread]
std::size_t unmask_avx2(std::span<std::uint8_t> bytes, std::uint32_t key) noexcept;

}  // namespace websocket::protocol
