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

/// The extensions that a server has accepted, in their order. Nothing when one does not follow the grammar
/// or when there is none: what both ends are to do has to be understood. Throws std::bad_alloc. [any thread]
[[nodiscard]] std::optional<std::vector<Extension>>
parse_accepted_extensions(std::string_view text);

}  // namespace websocket::protocol
