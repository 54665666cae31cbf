// SPDX-License-Identifier: Apache-2.0
// Values as JSON text. Part of websocket/jsonrpc.hpp.
#pragma once

#include <charconv>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>

#include "value.hpp"

namespace websocket::jsonrpc {

namespace detail {

template <class T>
void append_number(std::string& out, T number) {
    char digits[32];  // the longest double has 24
    out.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

/// A double as a number that is read as the same double, by whatever reader: digits alone would be an integer, which
/// many cannot take beyond 2^53, and which has no -0.
inline void append_double(std::string& out, double number) {
    constexpr double kExact = 9007199254740992.0;
    if (number == 0 && std::signbit(number)) {
        out += "-0.0";
    } else if (std::abs(number) < kExact) {
        append_number(out, number);
    } else {
        char digits[32];
        out.append(digits, std::to_chars(digits, digits + sizeof digits, number,
                                         std::chars_format::scientific)
                               .ptr);
    }
}

inline void append_escape(std::string& out, char c) {
    switch (c) {
        case '"': out += "\\\""; return;
        case '\\': out += "\\\\"; return;
        case '\b': out += "\\b"; return;
        case '\f': out += "\\f"; return;
        case '\n': out += "\\n"; return;
        case '\r': out += "\\r"; return;
        case '\t': out += "\\t"; return;
        default: break;
    }
    constexpr char kDigits[] = "0123456789abcdef";
    out += "\\u00";
    out += kDigits[static_cast<unsigned char>(c) >> 4];
    out += kDigits[static_cast<unsigned char>(c) & 15];
}

}  // namespace detail

/// Appends a JSON string, with its quotes. What is not ASCII is not escaped.
inline void append_text(std::string& out, std::string_view text) {
    out += '"';
    std::size_t plain = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\') continue;
        out.append(text, plain, i - plain);
        detail::append_escape(out, c);
        plain = i + 1;
    }
    out.append(text, plain);
    out += '"';
}

/// Appends JSON text without blanks. Not-a-number and infinities, which JSON does not have, become null.
inline void append_json(std::string& out, const Value& value) {
    struct Writer {
        std::string& out;

        void operator()(std::monostate) const { out += "null"; }
        void operator()(bool truth) const { out += truth ? "true" : "false"; }
        void operator()(std::int64_t number) const { detail::append_number(out, number); }
        void operator()(std::uint64_t number) const { detail::append_number(out, number); }
        void operator()(double number) const {
            if (std::isfinite(number)) {
                detail::append_double(out, number);
            } else {
                out += "null";
            }
        }
        void operator()(const std::string& text) const { append_text(out, text); }
        void operator()(const Value::Array& items) const {
            out += '[';
            for (const Value& item : items) {
                if (&item != items.data()) out += ',';
                append_json(out, item);
            }
            out += ']';
        }
        void operator()(const Value::Object& members) const {
            out += '{';
            for (const Member& member : members) {
                if (&member != members.data()) out += ',';
                append_text(out, member.name);
                out += ':';
                append_json(out, member.value);
            }
            out += '}';
        }
    };
    std::visit(Writer{out}, value.variant());
}

[[nodiscard]] inline std::string to_json(const Value& value) {
    std::string text;
    append_json(text, value);
    return text;
}

}  // namespace websocket::jsonrpc
