// SPDX-License-Identifier: Apache-2.0
// The arithmetic and grammar of the opening handshake (RFC 6455 sections 4.2 and 11.3).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace websocket::protocol {

/// Versions that this server speaks, as Sec-WebSocket-Version lists them.
constexpr std::string_view kSupportedVersions = "13,8,7";

[[nodiscard]] constexpr bool is_supported_version(unsigned version) noexcept {
    return version == 13 || version == 8 || version == 7;
}

/// With padding (RFC 4648 section 4), of less than 2^31 bytes. Throws std::bad_alloc. [any thread]
[[nodiscard]] std::string base64(std::span<const std::uint8_t> bytes);

/// Sec-WebSocket-Accept of a key, as sent: base64(SHA-1(key || GUID)). Throws std::bad_alloc.
/// [any thread]
[[nodiscard]] std::string accept_value(std::string_view key);

/// Exactly the base64 of 16 bytes.
[[nodiscard]] bool is_strict_key(std::string_view key) noexcept;

/// The base64 of one or more bytes; some clients send 8.
[[nodiscard]] bool is_lenient_key(std::string_view key) noexcept;

/// 0 to 255 in decimal without sign or leading zero.
[[nodiscard]] std::optional<unsigned> parse_version(std::string_view text) noexcept;

/// True when the comma-separated list holds `token` (ASCII case does not matter; parameters after a
/// semicolon are skipped).
[[nodiscard]] bool list_has_token(std::string_view list, std::string_view token) noexcept;

/// The elements of a comma-separated list of RFC 9110 tokens; empty elements are legal and skipped.
/// Nothing when an element is not a token or when there is none. The views point into `list`.
[[nodiscard]] std::optional<std::vector<std::string_view>> parse_token_list(std::string_view list);

}  // namespace websocket::protocol
