// SPDX-License-Identifier: Apache-2.0
// What others wrote, for a line of the log.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace websocket::bridge {

/// The beginning of it, with a ? for what is not visible ASCII. Throws std::bad_alloc.
[[nodiscard]] inline std::string printable(std::string_view text) {
    constexpr std::size_t kLongest = 200;
    std::string shown(text.substr(0, kLongest));
    for (char& c : shown) {
        if (c < 0x20 || c >= 0x7F) {
            c = '?';
        }
    }
    return shown;
}

}  // namespace websocket::bridge
