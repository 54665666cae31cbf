// SPDX-License-Identifier: Apache-2.0
#include "plugin/common/outgoing_text.hpp"

namespace websocket::plugin {

bool may_leave(const Host& host, const Endpoint& endpoint,
               std::span<const std::uint8_t> text) noexcept {
    if (text.size() >= engine::Gate::kMaxQueued || protocol::is_utf8(text)) [[likely]] {
        return true;
    }
    report_invalid_text(host, endpoint, "text that is not UTF-8 was not sent");
    return false;
}

void report_invalid_text(const Host& host, const Endpoint& endpoint, const char* what) noexcept {
    host.log.print(base::LogLevel::warning, "WS0311: %s: %s", what, endpoint.place.c_str());
}

void OutgoingTexts::begin(engine::ConnectionId id) {
    const std::lock_guard lock(mutex_);
    texts_[id.value()] = {};
    used_.store(true);
}

std::optional<protocol::Utf8Validator> OutgoingTexts::find(engine::ConnectionId id) noexcept {
    if (!used_.load()) {
        return {};
    }
    const std::lock_guard lock(mutex_);
    const auto found = texts_.find(id.value());
    return found != texts_.end() ? std::optional{found->second} : std::nullopt;
}

void OutgoingTexts::put(engine::ConnectionId id, const protocol::Utf8Validator& text) noexcept {
    const std::lock_guard lock(mutex_);
    if (const auto found = texts_.find(id.value()); found != texts_.end()) {
        found->second = text;
    }
}

void OutgoingTexts::end(engine::ConnectionId id) noexcept {
    if (used_.load()) {
        const std::lock_guard lock(mutex_);
        texts_.erase(id.value());
    }
}

}  // namespace websocket::plugin
