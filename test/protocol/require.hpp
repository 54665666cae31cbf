// SPDX-License-Identifier: Apache-2.0
//
// ck_assert for what is checked millions of times: ck_assert itself reports to the parent process
// also when all is well.
#pragma once

#include <string>
#include <string_view>

#include "unit.hpp"

namespace websocket::test {

/// Bytes for a person to read; all but printable ASCII as \xHH.
[[nodiscard]] inline std::string printable(std::string_view bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte < 0x7F) {
            text += c;
        } else {
            text += {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
        }
    }
    return text;
}

/// Fails the test unless `condition`; `input` is what it was about.
inline void require(bool condition, std::string_view input, const char* file = __builtin_FILE(),
                    int line = __builtin_LINE()) {
    if (condition) return;
    ck_abort_msg("%s:%d: with \"%s\"", file, line, printable(input).c_str());
}

}  // namespace websocket::test
