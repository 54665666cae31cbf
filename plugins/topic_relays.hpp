// SPDX-License-Identifier: Apache-2.0
// Topics in envelopes: what clients of websocket_topic.cpp with protocol json subscribe to.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include <websocket/plugin.hpp>

#include "topic_messages.hpp"

namespace topic {

/// The plugin listens to each topic that one of its clients here wants, writes each message into its envelope once,
/// and publishes that to a topic of this process alone, which the clients have subscribed to. [any thread]
class Relays {
public:
    explicit Relays(const websocket::Server& server) : server_(server) {}

    /// Subscribes a client, which is not subscribed yet.
    [[nodiscard]] websocket::Result join(websocket::Connection client, const std::string& topic) {
        const std::lock_guard lock(mutex_);
        const auto [at, begun] = relays_.try_emplace(topic);
        Relay& relay = at->second;
        try {
            if (begun) begin(topic, relay);
            const websocket::Result result =
                relay.listener ? client.subscribe(relay.inner) : websocket::Result::full;
            if (taken(result)) count(relay, 1);
            end_unused(at);
            return result;
        } catch (...) {
            end_unused(at);
            throw;
        }
    }

    /// For a client that has joined; it may be gone.
    void leave(websocket::Connection client, const std::string& topic) {
        const std::lock_guard lock(mutex_);
        const auto at = relays_.find(topic);
        client.unsubscribe(at->second.inner);
        count(at->second, -1);
        end_unused(at);
    }

private:
    struct Relay {
        std::string inner = {};
        websocket::Listener listener = {};
        std::uint32_t clients = 0;
    };
    using All = std::map<std::string, Relay, std::less<>>;

    void begin(const std::string& topic, Relay& relay) {
        static std::atomic<std::uint64_t> last_number{0};  // of all locations in this process
        relay.inner = std::string("\0envelope", 9) + std::to_string(++last_number);
        relay.listener = server_.listen(topic, [this, topic,
                                                inner = relay.inner](const auto& message) {
            if (server_.publish(inner, envelope(topic, message)) == websocket::Result::too_big) {
                static_cast<void>(server_.publish(
                    inner, error(413, "a message is too large for its envelope", topic, {})));
            }
        });
    }
    static void count(Relay& relay, int more) {
        relay.clients += static_cast<std::uint32_t>(more);
        relay.listener.stand_for(relay.clients);
    }
    void end_unused(All::iterator at) {
        if (at->second.clients == 0) relays_.erase(at);
    }

    const websocket::Server& server_;
    std::mutex mutex_;  // guards relays_
    All relays_;
};

}  // namespace topic
