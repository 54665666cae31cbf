// Messages that compress like those of real applications: lists of records with the same names and
// other values.
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <string>

namespace websocket::bench {

// JSON of exactly `size` bytes, filled up with spaces; the same `seed` gives the same text.
inline std::string json_text(std::size_t size, std::uint32_t seed) {
    constexpr std::array symbols{"AAPL", "MSFT", "GOOG", "AMZN", "TSLA", "NVDA", "META", "INTC"};
    std::uint32_t state = seed * 2654435761U + 1;
    const auto below = [&state](std::uint32_t bound) {
        state = state * 1664525 + 1013904223;
        return (state >> 8) % bound;
    };
    std::string text = R"({"type":"update","channel":"trades","sequence":)" +
                       std::to_string(below(10'000'000)) + R"(,"items":[)";
    while (true) {
        std::array<char, 256> record;
        const int length = std::snprintf(
            record.data(), record.size(),
            R"({"id":"%06x-%04x","symbol":"%s","side":"%s","price":%u.%02u,"quantity":%u,)"
            R"("time":"2026-05-%02uT%02u:%02u:%02u.%03uZ"})",
            below(1U << 24), below(1U << 16), symbols[below(symbols.size())],
            below(2) == 0 ? "buy" : "sell", 100 + below(400), below(100), below(1000),
            1 + below(28), below(24), below(60), below(60), below(1000));
        const bool first = text.back() == '[';
        if (text.size() + static_cast<std::size_t>(length) + 3 > size) break;
        if (!first) text += ',';
        text.append(record.data(), static_cast<std::size_t>(length));
    }
    text += "]}";
    text.resize(size, ' ');
    return text;
}

}  // namespace websocket::bench
