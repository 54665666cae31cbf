// SPDX-License-Identifier: Apache-2.0
// Headers that somebody else wants in the answer to an opening handshake.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include "base/ascii.hpp"

namespace websocket::protocol {

enum class HeaderFault : std::uint8_t {
    none,
    name,      ///< not a token (RFC 9110 section 5.6.2)
    value,     ///< not the content of a field (RFC 9110 section 5.5)
    reserved,  ///< is_reserved_header()
};

/// What the handshake writes itself, what belongs to the connection and not to the answer (RFC 9110
/// section 7.6.1), and what would change where the answer ends.
[[nodiscard]] constexpr bool is_reserved_header(std::string_view name) noexcept {
    constexpr std::string_view kPrefix = "Sec-WebSocket-";
    constexpr std::array<std::string_view, 8> kReserved{
        "Connection", "Content-Length", "Keep-Alive",        "Proxy-Connection",
        "TE",         "Trailer",        "Transfer-Encoding", "Upgrade"};
    return base::equals_ignoring_case(name.substr(0, kPrefix.size()), kPrefix) ||
           std::ranges::any_of(kReserved, [name](std::string_view one) {
               return base::equals_ignoring_case(name, one);
           });
}

/// Visible characters, also those beyond ASCII, with spaces and tabs; white space at the ends is no
/// part of the value and does no harm.
[[nodiscard]] constexpr bool is_field_value(std::string_view text) noexcept {
    return std::ranges::none_of(text, [](char c) {
        return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F;
    });
}

/// Whether an application may set this header.
[[nodiscard]] constexpr HeaderFault fault_of_header(std::string_view name,
                                                    std::string_view value) noexcept {
    if (!base::is_token(name)) return HeaderFault::name;
    if (is_reserved_header(name)) return HeaderFault::reserved;
    return is_field_value(value) ? HeaderFault::none : HeaderFault::value;
}

/// For a line in the log.
[[nodiscard]] constexpr const char* describe(HeaderFault fault) noexcept {
    switch (fault) {
        case HeaderFault::name: return "its name is not a token";
        case HeaderFault::value: return "a control character in its value";
        case HeaderFault::reserved: return "the server sets it itself";
        case HeaderFault::none: break;
    }
    return "nothing";
}

}  // namespace websocket::protocol
