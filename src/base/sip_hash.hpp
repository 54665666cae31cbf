// SPDX-License-Identifier: Apache-2.0
// SipHash-1-3 (Aumasson and Bernstein): a hash that nobody can make collide who does not know the
// key. Clients choose the names of topics in many applications.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace websocket::base {

using HashKey = std::array<std::uint64_t, 2>;

/// [any thread]
[[nodiscard]] std::uint64_t sip_hash(const HashKey& key, std::string_view bytes) noexcept;

}  // namespace websocket::base
