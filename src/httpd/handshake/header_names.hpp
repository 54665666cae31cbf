// SPDX-License-Identifier: Apache-2.0
// What handshakes have alike: names, which take one byte in a RequestSnapshot instead of twenty, and values.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

namespace websocket::httpd {

/// Spelled as clients spell them; a name in another spelling is kept as it is.
// clang-format off
inline constexpr std::array<const char*, 24> kCommonHeaderNames{
    "Host", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version",
    "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "Origin", "User-Agent", "Cookie",
    "Accept", "Accept-Encoding", "Accept-Language", "Cache-Control", "Pragma", "Authorization",
    "Referer", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Server", "X-Forwarded-Proto",
    "X-Real-IP", "Via", "DNT",
};
// clang-format on

/// No header's name contains a control character, so this tells codes from names.
constexpr char kFirstNameCode = 1;

/// What is stored for `name`: itself, or one byte.
[[nodiscard]] constexpr std::string_view packed_name(std::string_view name) noexcept {
    constexpr std::string_view kCodes = "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0A\x0B\x0C"
                                        "\x0D\x0E\x0F\x10\x11\x12\x13\x14\x15\x16\x17\x18";
    static_assert(kCodes.size() == kCommonHeaderNames.size());
    for (std::size_t i = 0; i < kCommonHeaderNames.size(); ++i) {
        if (name == kCommonHeaderNames[i]) {
            return kCodes.substr(i, 1);
        }
    }
    return name;
}

/// The name that `packed` stands for.
[[nodiscard]] constexpr const char* full_name(const char* packed) noexcept {
    const auto code = static_cast<unsigned char>(*packed);
    const bool coded = code != 0 && code <= kCommonHeaderNames.size();
    return coded ? kCommonHeaderNames[code - static_cast<std::size_t>(kFirstNameCode)] : packed;
}

/// Whose values many clients of a server send alike, the browser's and the site's. Not among them: what may
/// be a client's secret or name (cookies, tokens, addresses; a subprotocol may be a token).
// clang-format off
inline constexpr std::array<std::string_view, 21> kHeadersAlike{
    "Host", "Upgrade", "Connection", "Sec-WebSocket-Version", "Sec-WebSocket-Extensions", "Origin",
    "User-Agent", "Accept", "Accept-Encoding", "Accept-Language", "Cache-Control", "Pragma",
    "X-Forwarded-Host", "X-Forwarded-Server", "X-Forwarded-Proto", "Via", "DNT",
    "Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site", "Sec-GPC",
};
// clang-format on

[[nodiscard]] constexpr bool is_alike_header(std::string_view name) noexcept {
    return std::ranges::find(kHeadersAlike, name) != kHeadersAlike.end();
}

/// The same of variables of the environment: those of the configuration and of the cipher, say.
[[nodiscard]] constexpr bool is_alike_variable(std::string_view name) noexcept {
    return name != "UNIQUE_ID" && name != "SSL_SESSION_ID" && !name.starts_with("SSL_CLIENT_");
}

}  // namespace websocket::httpd
