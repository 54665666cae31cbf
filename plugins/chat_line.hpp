// SPDX-License-Identifier: Apache-2.0
// The texts of websocket_chat.cpp.
#pragma once

#include <algorithm>
#include <charconv>
#include <chrono>
#include <compare>
#include <cstdint>
#include <cstdio>
#include <set>
#include <string>
#include <string_view>

namespace chat {

/// How JSON writes it; empty when as it is.
[[nodiscard]] inline std::string_view escape(char c) noexcept {
    switch (c) {
        case '"': return "\\\"";
        case '\\': return "\\\\";
        case '\n': return "\\n";
        case '\r': return "\\r";
        case '\t': return "\\t";
        default: return {};
    }
}

[[nodiscard]] inline std::string quoted(std::string_view text) {
    std::string result = "\"";
    for (const char c : text) {
        const auto code = static_cast<unsigned char>(c);
        if (const std::string_view escaped = escape(c); !escaped.empty()) {
            result += escaped;
        } else if (code < 0x20) {
            char number[8];
            std::snprintf(number, sizeof number, "\\u%04x", code);
            result += number;
        } else {
            result += c;
        }
    }
    return result + '"';
}

/// A control character: of ASCII, or U+0080 to U+009F. `next` follows it.
[[nodiscard]] inline bool is_control(char c, char next) noexcept {
    const auto code = static_cast<unsigned char>(c);
    return code < 0x20 || code == 0x7F || (code == 0xC2 && static_cast<unsigned char>(next) < 0xA0);
}

/// 1 to `most` bytes and nothing that could confuse a terminal.
[[nodiscard]] inline bool is_name(std::string_view name, std::size_t most) {
    for (std::size_t i = 0; i < name.size(); ++i) {
        if (is_control(name[i], i + 1 < name.size() ? name[i + 1] : '\0')) return false;
    }
    return !name.empty() && name.size() <= most;
}

/// 0 when it is none.
[[nodiscard]] inline std::int64_t number(std::string_view text) {
    std::int64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

inline constexpr std::string_view kBegin = R"({"type":"message","at":)";
inline constexpr std::string_view kId = R"(,"id":")";

/// What somebody says now; `text` is quoted().
[[nodiscard]] inline std::string line(std::string_view id, std::string_view from,
                                      std::string_view text) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const auto at = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
    return std::string(kBegin) + std::to_string(at) + std::string(kId) + std::string(id) +
           "\",\"from\":" + quoted(from) + ",\"text\":" + std::string(text) + "}";
}

/// A line with what orders it; with no id if it is none.
struct Line {
    std::string text;
    std::string id;
    std::int64_t at = 0;

    explicit Line(std::string_view json) : text(json) {
        const std::size_t mark = json.find(kId);
        if (!json.starts_with(kBegin) || mark == std::string_view::npos) return;
        at = number(json.substr(kBegin.size()));
        const std::string_view rest = json.substr(mark + kId.size());
        id = rest.substr(0, rest.find('"'));
    }
    /// Lines of the same time stay as they came.
    bool operator<(const Line& other) const noexcept { return at < other.at; }
};

/// Text that is taken apart at line feeds.
class Words {
public:
    explicit Words(std::string_view text) : rest_(text), empty_(text.empty()) {}

    [[nodiscard]] bool empty() const noexcept { return empty_; }
    std::string_view next() {
        const std::string_view word = rest_.substr(0, rest_.find('\n'));
        empty_ = word.size() == rest_.size();
        rest_.remove_prefix(std::min(rest_.size(), word.size() + 1));
        return word;
    }
    /// The next ones, at most `count`.
    std::set<std::string, std::less<>> take(std::size_t count) {
        std::set<std::string, std::less<>> words;
        for (std::size_t i = 0; i < count && !empty_; ++i) words.emplace(next());
        return words;
    }

private:
    std::string_view rest_;
    bool empty_;
};

}  // namespace chat
