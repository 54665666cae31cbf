// SPDX-License-Identifier: Apache-2.0
// Many bytes at a time, with the compiler's portable vectors.
#pragma once

#include <cstdint>
#include <cstring>

namespace websocket::protocol {

using WideWord [[gnu::vector_size(16)]] = std::uint64_t;

template <class T>
[[nodiscard]] T load(const std::uint8_t* from) noexcept {
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

template <class T>
void store(std::uint8_t* to, const T& value) noexcept {
    std::memcpy(to, &value, sizeof value);
}

/// Whether any byte is none of ASCII.
[[nodiscard]] inline bool has_high_bit(std::uint64_t word) noexcept {
    return (word & 0x8080808080808080U) != 0;
}
[[nodiscard]] inline bool has_high_bit(const WideWord& word) noexcept {
    return has_high_bit(word[0] | word[1]);
}

}  // namespace websocket::protocol
