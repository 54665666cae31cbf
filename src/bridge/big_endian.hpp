// SPDX-License-Identifier: Apache-2.0
// Numbers as they are on the wire between hosts: most significant byte first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace websocket::bridge {

/// Throws std::bad_alloc.
inline void append_number(std::string& text, std::uint64_t value, std::size_t bytes = 8) {
    for (std::size_t i = bytes; i-- > 0;) {
        text += static_cast<char>(static_cast<std::uint8_t>(value >> (8 * i)));
    }
}

/// Of the first bytes.
[[nodiscard]] inline std::uint64_t number_at(std::string_view text,
                                             std::size_t bytes = 8) noexcept {
    std::uint64_t value = 0;
    for (const char c : text.substr(0, bytes)) {
        value = value << 8 | static_cast<std::uint8_t>(c);
    }
    return value;
}

/// Takes bytes away, behind their length in so many bytes. Nothing when they are not all there.
[[nodiscard]] inline std::optional<std::string_view> take_bytes(std::string_view& text,
                                                                std::size_t length) noexcept {
    if (text.size() < length) {
        return {};
    }
    const auto size = static_cast<std::size_t>(number_at(text, length));
    if (text.size() - length < size) {
        return {};
    }
    const std::string_view bytes = text.substr(length, size);
    text.remove_prefix(length + size);
    return bytes;
}

}  // namespace websocket::bridge
