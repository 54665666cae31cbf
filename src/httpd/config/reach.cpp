// SPDX-License-Identifier: Apache-2.0
#include "httpd/config/reach.hpp"

#include <optional>

#include "base/ascii.hpp"

namespace websocket::httpd {

namespace {

const ap_directive_t* enclosing(const ap_directive_t* directive, std::string_view section) {
    while (directive != nullptr && !base::equals_ignoring_case(directive->directive, section)) {
        directive = directive->parent;
    }
    return directive;
}

/// Nothing when it is a pattern or a URL of a proxy.
std::optional<std::string_view> plain_path(const ap_directive_t* location) {
    if (location == nullptr) {
        return {};
    }
    std::string_view arguments = location->args != nullptr ? location->args : "";
    arguments = base::trim(arguments.substr(0, arguments.rfind('>')));
    if (arguments.size() >= 2 && arguments.front() == '"' && arguments.back() == '"') {
        arguments = arguments.substr(1, arguments.size() - 2);
    }
    if (!arguments.starts_with('/') || arguments.find_first_of("*?[ ") != std::string_view::npos) {
        return {};
    }
    while (arguments.ends_with('/')) {
        arguments.remove_suffix(1);
    }
    return arguments;
}

bool is_below(std::string_view path, std::string_view other) {
    return path.starts_with(other) && (path.size() == other.size() || path[other.size()] == '/');
}

}  // namespace

Reach reach_of(const ap_directive_t& directive) {
    const auto path = plain_path(enclosing(&directive, "<Location"));
    return {enclosing(&directive, "<VirtualHost"), path.value_or(std::string_view()),
            path.has_value()};
}

bool may_meet(const Reach& one, const Reach& other) {
    const bool same_host = one.host == nullptr || other.host == nullptr || one.host == other.host;
    const bool same_path = !one.has_path || !other.has_path || is_below(one.path, other.path) ||
                           is_below(other.path, one.path);
    return same_host && same_path;
}

}  // namespace websocket::httpd
