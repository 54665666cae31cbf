// SPDX-License-Identifier: Apache-2.0
// What statuses of libnats mean for us.
#pragma once

#include <nats/nats.h>

#include <string>
#include <string_view>

namespace websocket::bridge {

/// For people: what it is, and the words of the server or of the library. Throws std::bad_alloc.
[[nodiscard]] std::string explain_nats(natsStatus status, std::string_view words);

}  // namespace websocket::bridge
