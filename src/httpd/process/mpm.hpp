// SPDX-License-Identifier: Apache-2.0
// What httpd's MPM says about itself.
#pragma once

#include <httpd.h>

#include <ap_mpm.h>

#include <algorithm>
#include <cstdint>

namespace websocket::httpd {

/// The MPM's answer to one of httpd's AP_MPMQ_ codes; 0 when it has none. [any thread]
[[nodiscard]] inline int ask_mpm(int code) noexcept {
    int answer = 0;
    return ap_mpm_query(code, &answer) == APR_SUCCESS ? answer : 0;
}

/// Whether each child of the MPM has one thread that serves. [any thread]
[[nodiscard]] inline bool is_prefork() noexcept {
    return ask_mpm(AP_MPMQ_IS_THREADED) == AP_MPMQ_NOT_SUPPORTED;
}

/// As many children as may live at a time: while old generations drain there are more than the limit,
/// with worker up to nine times as many. [config]
[[nodiscard]] inline std::uint32_t max_processes() noexcept {
    const auto limit = static_cast<std::uint32_t>(std::max(1, ask_mpm(AP_MPMQ_HARD_LIMIT_DAEMONS)));
    constexpr std::uint32_t kSpare = 16;
    return std::min(10 * limit, 2 * limit + 256) + kSpare;
}

}  // namespace websocket::httpd
