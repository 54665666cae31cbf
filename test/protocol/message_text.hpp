// SPDX-License-Identifier: Apache-2.0
//
// Messages that compress as real ones do.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

namespace websocket::test {

/// Exactly `size` bytes of the beginning of a JSON list; another `seed` gives another one. From 256 KiB on it comes
/// again, eight times as far away as deflate looks back.
[[nodiscard]] inline std::string json(std::size_t size, std::uint32_t seed = 1) {
    std::string text = "[";
    std::uint32_t state = seed;
    const auto next = [&state](std::uint32_t bound) {
        state = state * 1664525 + 1013904223;
        return std::to_string((state >> 8) % bound);
    };
    while (text.size() < std::min<std::size_t>(size, 256U << 10)) {
        text += R"({"id":)" + next(100'000) + R"(,"symbol":"S)" + next(20) + R"(","price":)" +
                next(1000) + '.' + next(100) + R"(,"side":")" + (state % 2 == 0 ? "buy" : "sell") +
                R"("},)";
    }
    const std::size_t period = text.size();
    text.resize(size);
    for (std::size_t at = period; at < size; at += period) {
        std::copy_n(text.begin(), std::min(period, size - at),
                    text.begin() + static_cast<std::ptrdiff_t>(at));
    }
    return text;
}

}  // namespace websocket::test
