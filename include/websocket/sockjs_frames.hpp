// SPDX-License-Identifier: Apache-2.0
// The frames of SockJS: text messages as JSON strings. Part of websocket/sockjs.hpp, and complete by itself.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "query.hpp"

namespace websocket::sockjs {

/// Messages that one frame of a client may have. sockjs-client sends one; who sends more has found a way around a
/// limit for messages a second.
constexpr std::size_t kMaxBatch = 100;

namespace detail {

/// Whether the server has to write the character of three bytes as an escape: some clients would lose it.
[[nodiscard]] constexpr bool is_fragile(std::string_view three) noexcept {
    const auto byte = [three](std::size_t i) {
        return static_cast<unsigned>(static_cast<unsigned char>(three[i]));
    };
    if ((byte(1) & 0xC0U) != 0x80 || (byte(2) & 0xC0U) != 0x80) return false;  // not UTF-8
    const unsigned code = (byte(0) & 0x0FU) << 12 | (byte(1) & 0x3FU) << 6 | (byte(2) & 0x3FU);
    return (code >= 0x200C && code <= 0x200F) || (code >= 0x2028 && code <= 0x202F) ||
           (code >= 0x2060 && code <= 0x206F) || code >= 0xFFF0;
}

inline void append_escape(std::string& to, unsigned code) {
    constexpr char kDigits[] = "0123456789abcdef";
    to += "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) to += kDigits[code >> shift & 15];
}

inline void append_utf8(std::string& to, std::uint32_t code) {
    const auto put = [&to](std::uint32_t byte) { to += static_cast<char>(byte); };
    if (code < 0x80) {
        put(code);
    } else if (code < 0x800) {
        put(0xC0 | code >> 6);
        put(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        put(0xE0 | code >> 12);
        put(0x80 | (code >> 6 & 0x3F));
        put(0x80 | (code & 0x3F));
    } else {
        put(0xF0 | code >> 18);
        put(0x80 | (code >> 12 & 0x3F));
        put(0x80 | (code >> 6 & 0x3F));
        put(0x80 | (code & 0x3F));
    }
}

}  // namespace detail

/// Appends `text`, which is UTF-8, as a JSON string. What is not UTF-8 stays so.
inline void append_string(std::string& to, std::string_view text) {
    to += '"';
    std::size_t plain = 0;  // where the bytes begin that are copied as they are
    const auto flush = [&](std::size_t end) { to.append(text.substr(plain, end - plain)); };
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        if (byte == '"' || byte == '\\') {
            flush(i);
            to += '\\';
            plain = i;
        } else if (byte < 0x20) {
            flush(i);
            detail::append_escape(to, byte);
            plain = i + 1;
        } else if ((byte == 0xE2 || byte == 0xEF) && text.size() - i >= 3 &&
                   detail::is_fragile(text.substr(i, 3))) {
            flush(i);
            detail::append_escape(to, (byte & 0x0FU) << 12 |
                                          (static_cast<unsigned char>(text[i + 1]) & 0x3FU) << 6 |
                                          (static_cast<unsigned char>(text[i + 2]) & 0x3FU));
            i += 2;
            plain = i + 1;
        }
    }
    flush(text.size());
    to += '"';
}

/// a["text"]
[[nodiscard]] inline std::string message_frame(std::string_view text) {
    std::string frame;
    frame.reserve(text.size() + text.size() / 8 + 5);
    frame += "a[";
    append_string(frame, text);
    frame += ']';
    return frame;
}

/// c[3000,"Go away!"]
[[nodiscard]] inline std::string close_frame(std::uint32_t code, std::string_view reason) {
    std::string frame = "c[" + std::to_string(code) + ",";
    append_string(frame, reason);
    frame += ']';
    return frame;
}

/// Reads what a client has sent: a JSON array of strings, or one string. A surrogate without its other half becomes
/// U+FFFD, since UTF-8 cannot have it.
class FrameReader {
public:
    /// The messages, none for no text at all; nothing when it is something else, or more than kMaxBatch.
    [[nodiscard]] static std::optional<std::vector<std::string>> read(std::string_view frame) {
        FrameReader reader(frame);
        std::vector<std::string> messages;
        return reader.read_all(messages) ? std::optional(std::move(messages)) : std::nullopt;
    }

private:
    explicit FrameReader(std::string_view frame) noexcept : rest_(frame) {}

    [[nodiscard]] bool read_all(std::vector<std::string>& messages) {
        skip_space();
        if (rest_.empty()) return true;
        if (rest_.front() == '"') {
            messages.emplace_back();
            return read_string(messages.back()) && at_end();
        }
        if (!take('[')) return false;
        skip_space();
        if (take(']')) return at_end();
        do {
            skip_space();
            if (messages.size() == kMaxBatch) return false;
            messages.emplace_back();
            if (!read_string(messages.back())) return false;
            skip_space();
        } while (take(','));
        return take(']') && at_end();
    }
    void skip_space() noexcept {
        rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size()));
    }
    [[nodiscard]] bool at_end() noexcept {
        skip_space();
        return rest_.empty();
    }
    [[nodiscard]] bool take(char c) noexcept {
        if (rest_.empty() || rest_.front() != c) return false;
        rest_.remove_prefix(1);
        return true;
    }
    [[nodiscard]] bool read_string(std::string& text) {
        if (!take('"')) return false;
        for (;;) {
            std::size_t plain = 0;
            while (plain < rest_.size() && rest_[plain] != '"' && rest_[plain] != '\\' &&
                   static_cast<unsigned char>(rest_[plain]) >= 0x20) {
                ++plain;
            }
            text.append(rest_.substr(0, plain));
            rest_.remove_prefix(plain);
            if (take('"')) return true;
            if (!take('\\') || !read_escape(text)) return false;
        }
    }
    [[nodiscard]] bool read_escape(std::string& text) {
        if (rest_.empty()) return false;
        const char kind = rest_.front();
        rest_.remove_prefix(1);
        switch (kind) {
            case '"':
            case '\\':
            case '/': text += kind; return true;
            case 'b': text += '\b'; return true;
            case 'f': text += '\f'; return true;
            case 'n': text += '\n'; return true;
            case 'r': text += '\r'; return true;
            case 't': text += '\t'; return true;
            case 'u': return read_code(text);
            default: return false;
        }
    }
    /// Behind \u.
    [[nodiscard]] bool read_code(std::string& text) {
        std::optional<std::uint32_t> code = take_digits();
        if (!code) return false;
        constexpr std::uint32_t kReplacement = 0xFFFD;
        if (*code >= 0xD800 && *code < 0xDC00 && rest_.starts_with("\\u")) {
            const std::string_view before = rest_;
            rest_.remove_prefix(2);
            const std::optional<std::uint32_t> low = take_digits();
            if (!low) return false;
            if (*low >= 0xDC00 && *low < 0xE000) {
                code = 0x10000 + ((*code - 0xD800) << 10) + (*low - 0xDC00);
            } else {
                rest_ = before;  // a character of its own
            }
        }
        websocket::sockjs::detail::append_utf8(
            text, *code >= 0xD800 && *code < 0xE000 ? kReplacement : *code);
        return true;
    }
    [[nodiscard]] std::optional<std::uint32_t> take_digits() noexcept {
        if (rest_.size() < 4) return {};
        std::uint32_t code = 0;
        for (const char c : rest_.substr(0, 4)) {
            const int digit = websocket::detail::hex_digit(c);
            if (digit < 0) return {};
            code = code * 16 + static_cast<std::uint32_t>(digit);
        }
        rest_.remove_prefix(4);
        return code;
    }

    std::string_view rest_;
};

}  // namespace websocket::sockjs
