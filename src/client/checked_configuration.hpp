// SPDX-License-Identifier: Apache-2.0
// Whether a client can be made of what it is told.
#pragma once

#include <cstdint>
#include <string_view>

#include "protocol/client_handshake.hpp"
#include "websocket/jsonrpc/client_configuration.hpp"

namespace websocket::client {

/// Throws jsonrpc::ConfigurationError, which names what is not allowed and what is. [any thread]
void check(const jsonrpc::Configuration& configuration);
/// Of a request. Throws as check().
void check_timeout(std::chrono::milliseconds time);
/// Of close(); code 0 is for none. Throws as check().
void check_close(std::uint16_t code, std::string_view reason);

/// What a handshake asks for. [any thread]
[[nodiscard]] protocol::ClientOffer offer_of(const jsonrpc::WsConfiguration& ws);

}  // namespace websocket::client
