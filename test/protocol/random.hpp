// SPDX-License-Identifier: Apache-2.0
//
// Reproducible random input: the same seed gives the same numbers with every compiler.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <random>
#include <span>
#include <string>
#include <string_view>

namespace websocket::test {

class Random {
public:
    explicit Random(std::uint64_t seed) : engine_(seed) {}

    /// 0 to `bound` - 1.
    [[nodiscard]] std::size_t below(std::size_t bound) { return engine_() % bound; }
    [[nodiscard]] bool one_in(std::size_t n) { return below(n) == 0; }
    [[nodiscard]] std::size_t pick(std::initializer_list<std::size_t> values) {
        return values.begin()[below(values.size())];
    }

    [[nodiscard]] std::string bytes(std::size_t size) {
        std::string result(size, '\0');
        for (char& byte : result) byte = static_cast<char>(below(256));
        return result;
    }

    [[nodiscard]] std::array<std::uint8_t, 4> mask() {
        std::array<std::uint8_t, 4> key{};
        for (std::uint8_t& byte : key) byte = static_cast<std::uint8_t>(below(256));
        return key;
    }

    /// Valid UTF-8 of at least `size` bytes and at most three more, with characters of every length.
    [[nodiscard]] std::string text(std::size_t size);

private:
    [[nodiscard]] std::uint32_t scalar_value();

    std::mt19937_64 engine_;
};

/// Appends the UTF-8 form of a code point, also of those that UTF-8 forbids.
inline void append_utf8(std::string& text, std::uint32_t code_point) {
    const auto continuation = [&](unsigned shift) {
        text += static_cast<char>(0x80 | ((code_point >> shift) & 0x3F));
    };
    if (code_point < 0x80) {
        text += static_cast<char>(code_point);
    } else if (code_point < 0x800) {
        text += static_cast<char>(0xC0 | (code_point >> 6));
        continuation(0);
    } else if (code_point < 0x10000) {
        text += static_cast<char>(0xE0 | (code_point >> 12));
        continuation(6);
        continuation(0);
    } else {
        text += static_cast<char>(0xF0 | (code_point >> 18));
        continuation(12);
        continuation(6);
        continuation(0);
    }
}

inline std::uint32_t Random::scalar_value() {
    switch (below(6)) {
        case 0: return static_cast<std::uint32_t>(0x80 + below(0x780));
        case 1: return static_cast<std::uint32_t>(0x800 + below(0xD000));
        case 2: return static_cast<std::uint32_t>(0xE000 + below(0x2000));
        case 3: return static_cast<std::uint32_t>(0x10000 + below(0x100000));
        default: return static_cast<std::uint32_t>(below(0x80));
    }
}

inline std::string Random::text(std::size_t size) {
    std::string result;
    const bool ascii_only = one_in(3);
    while (result.size() < size) {
        append_utf8(result, ascii_only ? static_cast<std::uint32_t>(below(0x80)) : scalar_value());
    }
    return result;
}

[[nodiscard]] inline std::span<const std::uint8_t> bytes(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace websocket::test
