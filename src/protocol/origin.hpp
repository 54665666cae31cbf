// SPDX-License-Identifier: Apache-2.0
// Origins of web pages (RFC 6454), as the Origin header has them and as an administrator writes them.
//
// The canonical form is what browsers send: "https://www.example.com" or "http://[::1]:8080", scheme
// and host in lower case, the port only when it is not the scheme's own.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace websocket::protocol {

/// The canonical form of an origin. Upper case, a port that is the scheme's own, another spelling of
/// an IPv6 address, and one "/" at the end, which some old clients send, are forgiven. Nothing for all
/// else, "null" among it. Throws std::bad_alloc. [any thread]
[[nodiscard]] std::optional<std::string> canonical_origin(std::string_view text);

/// The canonical origin of what is served at `authority`, the value of a Host header. Nothing when
/// that is no host with an optional port. Throws std::bad_alloc. [any thread]
[[nodiscard]] std::optional<std::string> origin_of(std::string_view scheme,
                                                   std::string_view authority);

/// What an administrator trusts.
struct TrustedOrigin {
    std::string text;             ///< to be compared, see trusts()
    std::string_view never = {};  ///< why no page can have this origin; empty when one can
};

/// "https://*.example.com" stands for all hosts below example.com. What is none of this is kept as it
/// is. Throws std::bad_alloc. [config]
[[nodiscard]] TrustedOrigin read_trusted_origin(std::string_view text);

/// True when `trusted`, the text of a TrustedOrigin, stands for the origin with this canonical form.
/// A "*" is one label or more, and the "." behind it is the end of a label. [any thread]
[[nodiscard]] bool trusts(std::string_view trusted, std::string_view canonical) noexcept;

}  // namespace websocket::protocol
