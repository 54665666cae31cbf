// SPDX-License-Identifier: Apache-2.0
// Whether bytes may go out as text. Part of the C++ face of websocket/plugin.h, and complete by itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

namespace websocket {

namespace detail {

/// Bytes of the well-formed character that `text` begins with, by table 3-7 of the Unicode Standard:
/// no overlong form, no surrogate, nothing above U+10FFFF. 0 when there is none.
[[nodiscard]] constexpr std::size_t utf8_character(std::string_view text) noexcept {
    const auto byte = [text](std::size_t i) -> unsigned {
        return static_cast<unsigned char>(text[i]);
    };
    const auto follows = [byte](std::size_t i) { return (byte(i) & 0xC0) == 0x80; };
    if (text.empty()) return 0;
    const unsigned lead = byte(0);
    if (lead < 0x80) return 1;
    if (lead < 0xC2 || lead > 0xF4) return 0;
    if (lead < 0xE0) return text.size() >= 2 && follows(1) ? 2 : 0;
    if (lead < 0xF0) {
        const unsigned least = lead == 0xE0 ? 0xA0 : 0x80;
        const unsigned most = lead == 0xED ? 0x9F : 0xBF;
        return text.size() >= 3 && byte(1) >= least && byte(1) <= most && follows(2) ? 3 : 0;
    }
    const unsigned least = lead == 0xF0 ? 0x90 : 0x80;
    const unsigned most = lead == 0xF4 ? 0x8F : 0xBF;
    return text.size() >= 4 && byte(1) >= least && byte(1) <= most && follows(2) && follows(3) ? 4
                                                                                               : 0;
}

/// Bytes at the front of `text` that are ASCII, counted in steps of 16; the others stay for
/// utf8_character().
[[nodiscard]] inline std::size_t ascii_steps(std::string_view text) noexcept {
    constexpr std::uint64_t kHighBits = 0x8080808080808080U;
    std::size_t at = 0;
    for (; text.size() - at >= 16; at += 16) {
        std::uint64_t words[2];
        std::memcpy(words, text.data() + at, sizeof words);
        if (((words[0] | words[1]) & kHighBits) != 0) break;
    }
    return at;
}

}  // namespace detail

/// Whether all of `text` is UTF-8 (RFC 3629), so that it may be sent as text; NUL is. [any thread]
[[nodiscard]] constexpr bool is_utf8(std::string_view text) noexcept {
    while (!text.empty()) {
        if (!std::is_constant_evaluated()) text.remove_prefix(detail::ascii_steps(text));
        // Some characters before ASCII is looked for again, for languages that have little of it.
        for (int i = 0; i < 16 && !text.empty(); ++i) {
            const std::size_t size = detail::utf8_character(text);
            if (size == 0) return false;
            text.remove_prefix(size);
        }
    }
    return true;
}

}  // namespace websocket
