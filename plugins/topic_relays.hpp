// SPDX-License-Identifier: Apache-2.0
// Topics in envelopes: what clients of websocket_topic.cpp with protocol json subscribe to.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <websocket/event_stream.hpp>
#include <websocket/history.hpp>
#include <websocket/plugin.hpp>

#include "topic_messages.hpp"

namespace topic {

/// The plugin listens to each topic that one of its clients here wants, writes each message into its envelope once,
/// and publishes that to a topic of this process alone, which the clients have subscribed to. [any thread]
class Relays {
public:
    explicit Relays(const websocket::Server& server)
        : server_(server), history_(server), streams_(server) {}

    /// Subscribes a client, which is not subscribed yet, and answers it, by `say(connection, text)`. To a topic with
    /// history it is subscribed when this has returned: behind what it has missed.
    template <class Say>
    [[nodiscard]] websocket::Result join(websocket::Connection client, const std::string& topic,
                                         const std::optional<websocket::Position>& since,
                                         const Value& id, Say say) {
        const bool kept = history_.keeps(topic);
        const std::lock_guard lock(mutex_);
        const auto [at, begun] = relays_.try_emplace(topic);
        Relay& relay = at->second;
        try {
            if (begun) begin(topic, relay, kept);
            auto result = relay.listener ? websocket::Result::ok : websocket::Result::full;
            if (taken(result) && kept) {
                result = join_later(client, topic, relay, since, id, say);
            } else if (taken(result)) {
                result = client.subscribe(relay.inner);
                if (taken(result)) say(client, answer("subscribed", topic, id));
            }
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
        at->second.joining.erase(client.id());
        client.unsubscribe(at->second.inner);
        count(at->second, -1);
        end_unused(at);
    }

private:
    /// Of what a client has missed, in envelopes; more is not sent at once.
    static constexpr std::size_t kMostMissed = std::size_t{128} << 10;
    /// Messages that are read at once: memory that all children share is locked while they are copied.
    static constexpr std::uint32_t kPiece = 16;

    struct Relay {
        std::string inner = {};
        websocket::Listener listener = {};
        std::uint32_t clients = 0;
        /// Of the last message that was heard; where messages are heard alone.
        std::shared_ptr<websocket::Position> heard = {};
        std::map<ws_conn, std::uint64_t> joining =
            {};  ///< clients, and which time it is that they join
    };
    using All = std::map<std::string, Relay, std::less<>>;

    void begin(const std::string& topic, Relay& relay, bool kept) {
        static std::atomic<std::uint64_t> last_number{0};  // of all locations in this process
        relay.inner = std::string("\0envelope", 9) + std::to_string(++last_number);
        if (!kept) {
            relay.listener =
                server_.listen(topic, [this, topic, inner = relay.inner](const auto& message) {
                    pass_on(topic, inner, message, {});
                });
            return;
        }
        relay.heard = std::make_shared<websocket::Position>();
        relay.listener = history_.listen(
            topic, [this, topic, inner = relay.inner, heard = relay.heard](const auto& message) {
                *heard = message.position;
                pass_on(topic, inner, message, message.position);
            });
    }
    void pass_on(const std::string& topic, const std::string& inner,
                 const websocket::Published& message, const websocket::Position& position) const {
        const std::string text = envelope(topic, message, position);
        const websocket::Result result =
            position.epoch != 0 && streams_.available()
                ? streams_.publish(inner, text, {.id = position.text()})
                : server_.publish(inner, text);
        if (result == websocket::Result::too_big) {
            static_cast<void>(server_.publish(
                inner, error(413, "a message is too large for its envelope", topic, {})));
        }
    }

    // ---- topics with history

    /// The listener has been given all up to what the history says now, so where it hears, that is behind it. There
    /// the client gets what is missing up to what was heard, and from then on what is heard. With the lock held.
    template <class Say>
    websocket::Result join_later(websocket::Connection client, const std::string& topic,
                                 Relay& relay, const std::optional<websocket::Position>& since,
                                 const Value& id, Say say) {
        const websocket::Recovery now = history_.read(
            topic, {}, [](const auto&) {}, 0);
        if (!taken(now.result)) return now.result;
        const std::uint64_t turn = ++last_turn_;
        relay.joining[client.id()] = turn;
        const bool posted =
            server_.post([this, client, topic, since, id, say, turn, now = now.now] {
                finish(client, topic, since, id, say, turn, now);
            });
        if (!posted) relay.joining.erase(client.id());
        return posted ? websocket::Result::ok : websocket::Result::gone;
    }
    template <class Say>
    void finish(websocket::Connection client, const std::string& topic,
                const std::optional<websocket::Position>& since, const Value& id, Say say,
                std::uint64_t turn, websocket::Position now) {
        const std::lock_guard lock(mutex_);  // to the end: who leaves meanwhile has joined before
        const auto at = relays_.find(topic);
        if (at == relays_.end()) return;
        Relay& relay = at->second;
        const auto joining = relay.joining.find(client.id());
        if (joining == relay.joining.end() || joining->second != turn) return;  // it has left
        relay.joining.erase(joining);
        const websocket::Position& heard = *relay.heard;
        if (heard.epoch == now.epoch) now.offset = std::max(now.offset, heard.offset);
        std::vector<std::pair<websocket::Position, std::string>> missed;
        bool recovered = since && missed_since(topic, *since, now, missed);
        say(client, subscribed(topic, now, since ? std::optional(recovered) : std::nullopt, id));
        if (recovered) {
            for (const auto& [position, text] : missed) send(client, position, text, say);
        }
        if (!taken(client.subscribe(relay.inner)))
            client.close(websocket::CloseCode::try_again_later, "too many topics");
    }
    /// False when it cannot be had.
    bool missed_since(const std::string& topic, websocket::Position since,
                      const websocket::Position& now,
                      std::vector<std::pair<websocket::Position, std::string>>& missed) const {
        if (since.epoch != now.epoch || since.offset > now.offset) return false;
        std::size_t bytes = 0;
        while (since.offset < now.offset) {
            const std::uint64_t before = since.offset;
            const websocket::Recovery what = history_.read(
                topic, since,
                [&](const websocket::Remembered& message) {
                    missed.emplace_back(message.position,
                                        envelope(topic, message, message.position));
                    bytes += missed.back().second.size();
                    since = message.position;
                },
                kPiece, now.offset);
            if (!taken(what.result) || !what.complete || since.offset == before ||
                bytes > kMostMissed) {
                return false;
            }
        }
        return true;
    }
    template <class Say>
    void send(websocket::Connection client, const websocket::Position& position,
              const std::string& text, Say say) const {
        if (!streams_.available()) {
            say(client, text);
            return;
        }
        const websocket::Result result = streams_.send(client, text, {.id = position.text()});
        if (!taken(result) && result != websocket::Result::gone) {
            client.close(websocket::CloseCode::policy_violation, "what was missed is not read");
        }
    }

    static void count(Relay& relay, int more) {
        relay.clients += static_cast<std::uint32_t>(more);
        relay.listener.stand_for(relay.clients);
    }
    void end_unused(All::iterator at) {
        if (at->second.clients == 0) relays_.erase(at);
    }

    const websocket::Server& server_;
    const websocket::History history_;
    const websocket::EventStreams streams_;
    std::mutex mutex_;  // guards what follows
    All relays_;
    std::uint64_t last_turn_ = 0;
};

}  // namespace topic
