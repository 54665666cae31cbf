// SPDX-License-Identifier: Apache-2.0
// Unmasking with the wide registers that most x86 processors have.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace websocket::protocol {

/// The fewest bytes that unmask_avx2() takes.
inline constexpr std::size_t kLeastAvx2 = 32;

namespace detail {
extern const bool kHasAvx2;
}

/// Whether unmask_avx2() may be called here. [any thread]
[[nodiscard]] inline bool has_avx2() noexcept { return detail::kHasAvx2; }

/// As unmask(), of at least kLeastAvx2 bytes; `key` has the bytes of the MaskKey in memory. Only where
/// has_avx2(). [any thread]
std::size_t unmask_avx2(std::span<std::uint8_t> bytes, std::uint32_t key) noexcept;

}  // namespace websocket::protocol
