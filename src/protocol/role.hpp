// SPDX-License-Identifier: Apache-2.0
// The two ends of a connection, which RFC 6455 does not treat alike.
#pragma once

#include <cstdint>

namespace websocket::protocol {

/// Which end we are: a client masks what it sends and refuses what is masked, a server the other way round
/// (RFC 6455 section 5.1).
enum class Role : std::uint8_t { server, client };

}  // namespace websocket::protocol
