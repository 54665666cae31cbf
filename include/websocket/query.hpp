// SPDX-License-Identifier: Apache-2.0
// The query of a request: name=value pairs with & between them, percent-encoded, as forms and
// URLSearchParams write it. Part of the C++ face of websocket/plugin.h, and complete by itself.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace websocket {

namespace detail {

/// -1 when it is none.
[[nodiscard]] constexpr int hex_digit(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/// The byte that `text` begins with as an escape ("%41"); -1 when it does not.
[[nodiscard]] constexpr int escaped_byte(std::string_view text) noexcept {
    if (text.size() < 3 || text[0] != '%') return -1;
    const int high = hex_digit(text[1]);
    const int low = hex_digit(text[2]);
    return high >= 0 && low >= 0 ? high * 16 + low : -1;
}

}  // namespace detail

/// What became of a percent-encoded text.
struct PercentDecoded {
    std::string bytes;  ///< any, NUL and what is not UTF-8 included
    bool well_formed =
        true;  ///< each % began an escape; those that did not stand in `bytes` as they are
};

/// Decodes once: "%2541" is "%41". "+" is a space.
[[nodiscard]] inline PercentDecoded percent_decoded(std::string_view text) {
    PercentDecoded result;
    result.bytes.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        const int byte = detail::escaped_byte(text.substr(i));
        if (byte >= 0) {
            result.bytes += static_cast<char>(byte);
            i += 2;
        } else {
            result.well_formed = result.well_formed && text[i] != '%';
            result.bytes += text[i] == '+' ? ' ' : text[i];
        }
    }
    return result;
}

namespace detail {

/// Takes pairs off the query until one has this name: its value, still encoded.
[[nodiscard]] inline std::optional<std::string_view> next_query_value(std::string_view& query,
                                                                      std::string_view name) {
    while (!query.empty()) {
        const std::string_view pair = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(query.size(), pair.size() + 1));
        const std::string_view key = pair.substr(0, pair.find('='));
        if (percent_decoded(key).bytes == name) {
            return pair.substr(std::min(pair.size(), key.size() + 1));
        }
    }
    return {};
}

}  // namespace detail

/// The value of the first pair of this name, still encoded; empty for a name without "=". The names of
/// the query are decoded before they are compared.
[[nodiscard]] inline std::optional<std::string_view> query_value(std::string_view query,
                                                                 std::string_view name) {
    return detail::next_query_value(query, name);
}
/// The same of all pairs of this name.
[[nodiscard]] inline std::vector<std::string_view> query_values(std::string_view query,
                                                                std::string_view name) {
    std::vector<std::string_view> values;
    while (const auto value = detail::next_query_value(query, name)) values.push_back(*value);
    return values;
}

}  // namespace websocket
