// SPDX-License-Identifier: Apache-2.0
// Names of topics, and which of them clients of websocket_topic.cpp may choose.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <websocket/utf8.hpp>

namespace topic {

/// What ws.topic/1 takes.
inline constexpr std::size_t kLongestName = 255;

/// What is wrong with a name that comes from outside, as the end of a sentence; empty when nothing is.
[[nodiscard]] inline std::string objection_to_name(std::string_view name, std::size_t most) {
    const auto is_control = [](char c) {
        return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
    };
    if (name.empty() || name.size() > most) {
        return "has " + std::to_string(name.size()) + " bytes; allowed are 1 to " +
               std::to_string(most);
    }
    if (std::ranges::any_of(name, is_control)) return "has a control character";
    return websocket::is_utf8(name) ? "" : "is not UTF-8";
}

/// `text` with the name of the user wherever it says {user}.
[[nodiscard]] inline std::string with_user(std::string_view text, std::string_view user) {
    constexpr std::string_view kUser = "{user}";
    std::string result;
    for (std::size_t at = 0; (at = text.find(kUser)) != std::string_view::npos;) {
        result.append(text.substr(0, at)).append(user);
        text.remove_prefix(at + kUser.size());
    }
    return result.append(text);
}

/// A name with wildcards: "*" is any number of characters but "/", "**" any number of any, "{user}" the name of the
/// user as it is, and everything else itself.
class Pattern {
public:
    explicit Pattern(std::string_view text) {
        while (!text.empty()) {
            const auto next = [&text](std::string_view word) {
                const bool found = text.starts_with(word);
                if (found) text.remove_prefix(word.size());
                return found;
            };
            if (next("{user}")) {
                parts_.push_back({Kind::user});
            } else if (next("**")) {
                parts_.push_back({Kind::anything});
            } else if (next("*")) {
                parts_.push_back({Kind::part});
            } else {
                parts_.push_back({Kind::byte, text.front()});
                text.remove_prefix(1);
            }
        }
    }

    [[nodiscard]] bool names_user() const noexcept {
        return std::ranges::any_of(parts_, [](const Part& one) { return one.kind == Kind::user; });
    }

    /// Looks at each byte of the name once for each part of the pattern at most, whatever they are. A user without a
    /// name matches no {user}.
    [[nodiscard]] bool matches(std::string_view name, std::string_view user = {}) const {
        const std::vector<Part> parts = names_user() ? for_user(user) : parts_;
        // reached[i]: what was seen of the name so far may be parts[0] to parts[i - 1].
        std::vector<char> reached(parts.size() + 1, 0);
        std::vector<char> next(parts.size() + 1);
        reached[0] = 1;
        pass_wildcards(parts, reached);
        for (const char c : name) {
            std::ranges::fill(next, 0);
            for (std::size_t i = 0; i < parts.size(); ++i) {
                if (reached[i] == 0) continue;
                switch (parts[i].kind) {
                    case Kind::byte: next[i + 1] |= static_cast<char>(parts[i].byte == c); break;
                    case Kind::part: next[i] |= static_cast<char>(c != '/'); break;
                    case Kind::anything: next[i] = 1; break;
                    case Kind::user: break;
                }
            }
            reached.swap(next);
            pass_wildcards(parts, reached);
        }
        return reached.back() != 0;
    }

private:
    enum class Kind : unsigned char { byte, part, anything, user };
    struct Part {
        Kind kind;
        char byte = '\0';
    };

    /// A wildcard may be nothing.
    static void pass_wildcards(const std::vector<Part>& parts, std::vector<char>& reached) {
        for (std::size_t i = 0; i < parts.size(); ++i) {
            const bool wild = parts[i].kind == Kind::part || parts[i].kind == Kind::anything;
            if (reached[i] != 0 && wild) reached[i + 1] = 1;
        }
    }

    [[nodiscard]] std::vector<Part> for_user(std::string_view user) const {
        std::vector<Part> parts;
        for (const Part& one : parts_) {
            if (one.kind != Kind::user || user.empty()) {
                parts.push_back(one);
                continue;
            }
            for (const char c : user) parts.push_back({Kind::byte, c});
        }
        return parts;
    }

    std::vector<Part> parts_;
};

}  // namespace topic
