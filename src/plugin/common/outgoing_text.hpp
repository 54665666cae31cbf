// SPDX-License-Identifier: Apache-2.0
// Text of plugins is checked before it leaves: clients end a connection that gets any that is not UTF-8
// (RFC 6455 section 8.1), and the one who sees that is not the one who can mend it.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <unordered_map>

#include "engine/connection_id.hpp"
#include "plugin/common/endpoint.hpp"
#include "protocol/utf8.hpp"

namespace websocket::plugin {

/// True when `text` may be sent; else the log says so. What is too large to be sent is not looked at.
/// [any thread]
[[nodiscard]] bool may_leave(const Host& host, const Endpoint& endpoint,
                             std::span<const std::uint8_t> text) noexcept;

/// Says in the log that text was not sent, or not all of it.
void report_invalid_text(const Host& host, const Endpoint& endpoint, const char* what) noexcept;

/// Texts that leave in parts: a character may be in two of them. [any thread, one part of a
/// connection at a time]
class OutgoingTexts {
public:
    /// A first part is about to be sent. Throws std::bad_alloc.
    void begin(engine::ConnectionId id);
    /// What is known of the text so far; nothing when the connection has none under way.
    [[nodiscard]] std::optional<protocol::Utf8Validator> find(engine::ConnectionId id) noexcept;
    /// A part was sent.
    void put(engine::ConnectionId id, const protocol::Utf8Validator& text) noexcept;
    /// The last part was sent, or another first one, or the connection has ended.
    void end(engine::ConnectionId id) noexcept;

private:
    std::atomic<bool> used_{false};  ///< else there is nothing to find
    std::mutex mutex_;               // guards texts_
    std::unordered_map<std::uint64_t, protocol::Utf8Validator> texts_;
};

}  // namespace websocket::plugin
