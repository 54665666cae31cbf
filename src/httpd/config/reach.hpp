// SPDX-License-Identifier: Apache-2.0
// Where a directive holds, as far as the configuration alone tells.
#pragma once

#include <ap_config.h>
#include <util_cfgtree.h>

#include <string_view>

namespace websocket::httpd {

/// Lives as long as the tree of directives.
struct Reach {
    const ap_directive_t* host;  ///< the <VirtualHost> around; null: none
    std::string_view path;       ///< of the <Location> around, without "/" at its end
    bool has_path;               ///< false: it may hold for any path
};

/// [config]
[[nodiscard]] Reach reach_of(const ap_directive_t& directive);

/// False when no request can be in both places.
[[nodiscard]] bool may_meet(const Reach& one, const Reach& other);

}  // namespace websocket::httpd
