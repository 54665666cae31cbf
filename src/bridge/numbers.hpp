// SPDX-License-Identifier: Apache-2.0
// Numbers in what bridges write: most significant byte first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace websocket::bridge {

inline void append_number(std::string& text, std::uint64_t value, std::size_t bytes = 8) {
    for (std::size_t i = bytes; i-- > 0;) {
        text += static_cast<char>(static_cast<std::uint8_t>(value >> (8 * i)));
    }
}

/// Of the first bytes of the text, which has them.
[[nodiscard]] inline std::uint64_t number_at(std::string_view text,
                                             std::size_t bytes = 8) noexcept {
    std::uint64_t value = 0;
    for (const char c : text.substr(0, bytes)) {
        value = value << 8 | static_cast<std::uint8_t>(c);
    }
    return value;
}

}  // namespace websocket::bridge
