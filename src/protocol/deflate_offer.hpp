// SPDX-License-Identifier: Apache-2.0
// Agreeing with the other end on permessage-deflate (RFC 7692 sections 5 and 7.1).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "protocol/deflate_settings.hpp"
#include "protocol/extension_list.hpp"

namespace websocket::protocol {

struct DeflateAgreement {
    DeflateSettings settings;  ///< by default: nothing is agreed on
    std::string response;      ///< Sec-WebSocket-Extensions of the answer; empty for none
};

/// Accepts the first offer that is valid and that the policy can fulfil. An offer with a parameter
/// that is unknown, doubled or invalid is passed over, and so is one with server_max_window_bits=8,
/// which zlib cannot do. Throws std::bad_alloc. [any thread]
[[nodiscard]] DeflateAgreement agree_on_deflate(const std::vector<Extension>& offers,
                                                const DeflatePolicy& policy);

/// What a client's Sec-WebSocket-Extensions says for this policy. The server is told that it may bound the
/// client's window. Throws std::bad_alloc. [any thread]
[[nodiscard]] std::string offer_deflate(const DeflatePolicy& policy);

/// What a server made of offer_deflate().
struct DeflateAnswer {
    DeflateSettings settings;     ///< unless there is a fault
    const char* fault = nullptr;  ///< static text: what it accepted is not what was offered
};

/// `accepted` is an extension of the response with the name is_deflate() knows. [any thread]
[[nodiscard]] DeflateAnswer check_deflate(const Extension& accepted,
                                          const DeflatePolicy& offered) noexcept;

[[nodiscard]] bool is_deflate(const Extension& extension) noexcept;

/// True for clients that accept an agreement and then break it, told by their User-Agent. Safari
/// 15.0 to 15.3 does not reset its compressor after client_no_context_takeover. [any thread]
[[nodiscard]] bool has_broken_deflate(std::string_view user_agent) noexcept;

/// For people: the agreement as a response would put it, with both windows, or "none". Throws
/// std::bad_alloc. [any thread]
[[nodiscard]] std::string describe(const DeflateSettings& settings);

}  // namespace websocket::protocol
