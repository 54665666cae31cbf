// SPDX-License-Identifier: Apache-2.0
// Names of topics with wildcards.
#pragma once

#include <bitset>
#include <cstddef>
#include <string>
#include <string_view>

#include "hub/topic_key.hpp"

namespace websocket::hub {

/// "*" is any number of bytes but "/", "**" any number of any, everything else itself.
class TopicPattern {
public:
    static constexpr std::size_t kMax = TopicKey::kMaxName;

    /// 1 to kMax bytes.
    explicit TopicPattern(std::string_view text)
        : text_(text), literal_(std::min(text_.find('*'), text_.size())) {}

    [[nodiscard]] std::string_view text() const noexcept { return text_; }
    /// Looks at each byte of the name once for each of the pattern at most, whatever they are.
    [[nodiscard]] bool matches(std::string_view name) const noexcept {
        const std::string_view pattern = text_;
        if (!name.starts_with(pattern.substr(0, literal_))) {
            return false;
        }
        return literal_ == pattern.size()
                   ? name.size() == literal_
                   : matches(name.substr(literal_), pattern.substr(literal_));
    }

    bool operator==(const TopicPattern&) const = default;

private:
    using Places = std::bitset<kMax + 1>;

    /// Where in the pattern one may be once the name has been read that far.
    static bool matches(std::string_view name, std::string_view pattern) noexcept {
        Places at;
        at.set(0);
        pass_wildcards(pattern, at);
        for (const char c : name) {
            Places next;
            for (std::size_t i = 0; i < pattern.size(); ++i) {
                if (!at.test(i)) {
                    continue;
                }
                if (pattern[i] != '*') {
                    next.set(i + 1, next.test(i + 1) || pattern[i] == c);
                } else if (c != '/' || is_double(pattern, i)) {
                    next.set(i);
                }
            }
            pass_wildcards(pattern, next);
            at = next;
        }
        return at.test(pattern.size());
    }
    static bool is_double(std::string_view pattern, std::size_t i) noexcept {
        return pattern.substr(i).starts_with("**");
    }
    /// They may be nothing.
    static void pass_wildcards(std::string_view pattern, Places& at) noexcept {
        for (std::size_t i = 0; i < pattern.size(); ++i) {
            if (at.test(i) && pattern[i] == '*') {
                at.set(i + (is_double(pattern, i) ? 2 : 1));
            }
        }
    }

    std::string text_;
    std::size_t literal_;  // bytes before the first wildcard
};

}  // namespace websocket::hub
