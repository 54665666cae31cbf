// SPDX-License-Identifier: Apache-2.0
// From the text of a directive's argument to a number, or to a sentence for the administrator.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "httpd/config/directives.hpp"

namespace websocket::httpd {

struct ParsedValue {
    std::int64_t value;
    std::string error;  ///< empty, or the whole sentence
};

/// Parses `text` for a directive whose kind is not `special`. [config]
[[nodiscard]] ParsedValue parse_setting(const Directive& directive, std::string_view text);

/// Which of `choices` the text is, in upper or lower case; nothing when none of them. [any thread]
[[nodiscard]] std::optional<std::int64_t>
parse_choice(std::string_view text, std::span<const std::string_view> choices) noexcept;

}  // namespace websocket::httpd
