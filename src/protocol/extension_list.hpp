// SPDX-License-Identifier: Apache-2.0
// The value of Sec-WebSocket-Extensions (RFC 6455 section 9.1).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace websocket::protocol {

struct ExtensionParameter {
    std::string name;
    std::optional<std::string> value;  ///< without quotes
};

struct Extension {
    std::string name;
    std::vector<ExtensionParameter> parameters;
};

/// The extensions in their order, without those that do not follow the grammar, up to the comma behind
/// them: an offer that is not understood is declined, like one that is not wanted. Empty elements are
/// legal and skipped. Throws std::bad_alloc. [any thread]
[[nodiscard]] std::vector<Extension> parse_extension_list(std::string_view text);

}  // namespace websocket::protocol
