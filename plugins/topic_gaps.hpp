// SPDX-License-Identifier: Apache-2.0
// Clients of websocket_topic.cpp that want to know when messages may be missing.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include <websocket/event_stream.hpp>
#include <websocket/gap.hpp>
#include <websocket/plugin.hpp>

#include "topic_messages.hpp"

namespace topic {

/// Gaps are few, so each client is told by itself: that takes none of its subscriptions. [any thread]
class GapTellers {
public:
    explicit GapTellers(const websocket::Server& server)
        : server_(server), gaps_(server), streams_(server) {}

    /// Whether anybody can be told.
    [[nodiscard]] bool available() const noexcept { return gaps_.available(); }

    /// False when the server is ending, or has too many topics.
    [[nodiscard]] bool join(websocket::Connection client, const std::string& topic) {
        const std::lock_guard lock(mutex_);
        if (!listener_) {
            listener_ = gaps_.watch_all([this](const websocket::Gap& gap) { tell(gap); });
        }
        return listener_ && (clients_[topic].insert(client.id()), true);
    }
    /// Of one that has perhaps not joined.
    void leave(websocket::Connection client, const std::string& topic) {
        const std::lock_guard lock(mutex_);
        const auto at = clients_.find(topic);
        if (at == clients_.end()) return;
        at->second.erase(client.id());
        if (at->second.empty()) clients_.erase(at);
    }

private:
    using Clients = std::map<std::string, std::set<ws_conn>, std::less<>>;  // by topic

    void tell(const websocket::Gap& gap) const {
        const std::lock_guard lock(mutex_);
        if (!gap.topic) {
            for (const auto& one : clients_) tell(one, gap);
        } else if (const auto at = clients_.find(*gap.topic); at != clients_.end()) {
            tell(*at, gap);
        }
    }
    void tell(const Clients::value_type& topic, const websocket::Gap& gap) const {
        const std::string text = topic::gap(topic.first, gap.why_text());
        for (const ws_conn id : topic.second) tell(websocket::Connection(server_, id), text);
    }
    void tell(websocket::Connection client, const std::string& text) const {
        const websocket::Result result =
            streams_.available() ? streams_.send(client, text, {.name = "gap"}) : client.send(text);
        // Who does not get it would trust in what it has.
        if (!taken(result) && result != websocket::Result::gone) {
            client.close(websocket::CloseCode::policy_violation, "gaps are not read");
        }
    }

    const websocket::Server& server_;
    const websocket::Gaps gaps_;
    const websocket::EventStreams streams_;
    mutable std::mutex mutex_;  // guards what follows
    Clients clients_;
    websocket::Listener listener_;  // with the first of them
};

}  // namespace topic
