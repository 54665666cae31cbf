// SPDX-License-Identifier: Apache-2.0
// How many children there can be.
#pragma once

#include <ap_mpm.h>

#include <algorithm>
#include <cstdint>

namespace websocket::httpd {

/// As many as may live at a time: while old generations drain there are more than the limit, with
/// worker up to nine times as many. [config]
[[nodiscard]] inline std::uint32_t most_processes() noexcept {
    int limit = 0;
    if (ap_mpm_query(AP_MPMQ_HARD_LIMIT_DAEMONS, &limit) != APR_SUCCESS || limit < 1) {
        limit = 1;
    }
    const auto most = static_cast<std::uint32_t>(limit);
    constexpr std::uint32_t kSpare = 16;
    return std::min(10 * most, 2 * most + 256) + kSpare;
}

}  // namespace websocket::httpd
