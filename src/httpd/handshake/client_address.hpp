// SPDX-License-Identifier: Apache-2.0
// Which client addresses count as one client.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace websocket::httpd {

constexpr std::size_t kIpv4Bytes = 4;
constexpr std::size_t kIpv6Bytes = 16;

/// IPv6 that only carries an IPv4 address: ::ffff:192.0.2.1
[[nodiscard]] constexpr bool is_mapped_ipv4(std::span<const std::uint8_t> address) noexcept {
    constexpr std::array<std::uint8_t, 12> kPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    return address.size() == kIpv6Bytes &&
           std::equal(kPrefix.begin(), kPrefix.end(), address.begin());
}

/// The same for addresses that count as one: an IPv4 address, or the first 64 bits of an IPv6
/// address, which is what one household or one server gets and can choose freely from. `address` is
/// in network order, of 4 or 16 bytes. [any thread]
[[nodiscard]] constexpr std::uint64_t client_key(std::span<const std::uint8_t> address) noexcept {
    // No IPv6 network in use begins with these bits.
    std::uint64_t key = 0xFFFF;
    if (is_mapped_ipv4(address)) {
        address = address.last(kIpv4Bytes);
    } else if (address.size() == kIpv6Bytes) {
        address = address.first(kIpv6Bytes / 2);
        key = 0;
    }
    for (const std::uint8_t byte : address) {
        key = key << 8 | byte;
    }
    return key;
}

}  // namespace websocket::httpd
