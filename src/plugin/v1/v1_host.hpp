// SPDX-License-Identifier: Apache-2.0
// The function table that plugins of ABI version 1 call, and its extensions.
#pragma once

#include <cstdint>
#include <span>

#include "engine/connection.hpp"
#include "websocket/extensions.h"
#include "websocket/plugin.h"

namespace websocket::plugin {

class V1Instance;

[[nodiscard]] ws_host make_v1_host() noexcept;

// Extensions, one file each; null when the server does not have it.
[[nodiscard]] const void* timer_extension() noexcept;
[[nodiscard]] const void* post_extension() noexcept;
[[nodiscard]] const void* io_extension() noexcept;
[[nodiscard]] const void* buffer_extension() noexcept;
[[nodiscard]] const void* request_extension() noexcept;
[[nodiscard]] const void* http_extension() noexcept;
[[nodiscard]] const void* stream_extension() noexcept;
[[nodiscard]] const void* flow_extension() noexcept;
[[nodiscard]] const void* metrics_extension() noexcept;
[[nodiscard]] const void* topic_extension() noexcept;
[[nodiscard]] const void* leader_extension() noexcept;
[[nodiscard]] const void* drain_extension() noexcept;
[[nodiscard]] const void* event_stream_extension() noexcept;
[[nodiscard]] const void* history_extension() noexcept;
[[nodiscard]] const void* presence_extension() noexcept;
[[nodiscard]] const void* gap_extension() noexcept;

/// False when `type` is none of WS_TEXT and so on, or may not have so long a payload.
[[nodiscard]] bool opcode_of(std::uint32_t type, protocol::Opcode& opcode) noexcept;

/// The bytes that a plugin has given; null with a length is no argument.
[[nodiscard]] inline bool is_valid(const void* bytes, std::uint64_t n) noexcept {
    return bytes != nullptr || n == 0;
}
[[nodiscard]] inline std::span<const std::uint8_t> span_of(const void* bytes,
                                                           std::uint64_t n) noexcept {
    return {static_cast<const std::uint8_t*>(bytes), static_cast<std::size_t>(n)};
}

}  // namespace websocket::plugin
