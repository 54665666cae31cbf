// SPDX-License-Identifier: Apache-2.0
// Close codes (RFC 6455 section 7.4) and the payload of a Close frame.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "protocol/frame.hpp"

namespace websocket::protocol {

/// The codes that this server sends itself. Others arrive and pass as plain numbers.
enum class CloseCode : std::uint16_t {
    normal = 1000,
    going_away = 1001,
    protocol_error = 1002,
    too_big_hybi = 1004,  ///< versions 7 and 8: "message too big"; reserved since version 13
    no_status = 1005,     ///< never on the wire: the Close had no payload
    abnormal = 1006,      ///< never on the wire: the connection ended without a Close
    invalid_payload = 1007,
    policy_violation = 1008,
    too_big = 1009,
    internal_error = 1011,
    service_restart = 1012,
};

/// May never be sent by an endpoint, whatever the configuration says.
[[nodiscard]] constexpr bool is_prohibited(std::uint16_t code) noexcept {
    return code < 1000 || code == 1005 || code == 1006 || code == 1015 || code >= 5000;
}

/// Not prohibited, but reserved or without a registered meaning
/// (`ReaderLimits::allow_reserved_close_codes` lets them pass).
[[nodiscard]] constexpr bool is_reserved(std::uint16_t code) noexcept {
    return code == 1004 || (code >= 1016 && code < 3000);
}

/// The code that the payload of a Close frame begins with; it has at least two bytes.
[[nodiscard]] constexpr std::uint16_t
close_code_of(std::span<const std::uint8_t> payload) noexcept {
    return static_cast<std::uint16_t>((payload[0] << 8) | payload[1]);
}

/// Payload of a Close frame: empty, or a code and a reason of at most 123 bytes.
class ClosePayload {
public:
    /// Without a status: the peer sees 1005.
    constexpr ClosePayload() noexcept = default;

    /// A reason that does not fit is cut at a character boundary.
    ClosePayload(std::uint16_t code, std::string_view reason) noexcept;
    explicit ClosePayload(CloseCode code, std::string_view reason = {}) noexcept
        : ClosePayload(static_cast<std::uint16_t>(code), reason) {}

    [[nodiscard]] std::span<const std::uint8_t> bytes() const noexcept {
        return {bytes_.data(), size_};
    }

private:
    std::array<std::uint8_t, kMaxControlPayload> bytes_{};
    std::uint8_t size_ = 0;
};

}  // namespace websocket::protocol
