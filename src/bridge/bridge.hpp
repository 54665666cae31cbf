// SPDX-License-Identifier: Apache-2.0
// Carries what is published in this host to the broker, and what comes from there to the processes of this host.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/log.hpp"
#include "base/log_throttle.hpp"
#include "bridge/broker_link.hpp"
#include "bridge/envelope.hpp"
#include "bridge/history_relay.hpp"
#include "bridge/outgoing_queue.hpp"
#include "bridge/presence_exchange.hpp"
#include "bridge/sequences.hpp"
#include "bridge/subscriptions.hpp"
#include "hub/bridge_counts.hpp"
#include "hub/bus.hpp"
#include "net/reactor.hpp"
#include "net/timer.hpp"

namespace websocket::bridge {

struct BridgeOptions {
    hub::BrokerUrl url;
    const net::TlsClientContext* tls = nullptr;  ///< outlives the bridge; null without
    TlsTrust trust;                              ///< see BrokerLinkOptions
    std::string prefix;
    std::size_t buffer = 16U << 20;                  ///< bytes that may wait for the broker
    std::chrono::milliseconds longest_wait{10'000};  ///< of a message, for the broker
    std::chrono::milliseconds heartbeat{5000};
    std::chrono::milliseconds silence{
        15'000};  ///< without an own heartbeat: the connection is of no use
    std::chrono::milliseconds unsubscribe_after{2000};
    base::HashKey hash_key{};                    ///< of TopicKey
    std::uint64_t host = 0;                      ///< not 0, and no other bridge's
    std::optional<hub::PresenceStore> presence;  ///< of this host; without, no host is told
    std::chrono::milliseconds first_pause{100};  ///< see BrokerLinkOptions, as the next
    std::chrono::milliseconds patience{5000};
    hub::History* history = nullptr;  ///< of topics; null for none, or a broker that keeps none
    std::uint64_t httpd = 0;          ///< see HistoryRelayOptions::host, as the next ones
    std::function<std::uint64_t()> next_number;
    std::atomic<std::uint64_t>* has_all_until = nullptr;
    std::chrono::milliseconds stall{1500};
};

/// [loop]
class Bridge final : private BrokerLink::Owner, private PresenceExchange::Wire {
public:
    /// All that is referred to outlives it. `bus` goes to the processes of this host.
    Bridge(net::Reactor& reactor, const BridgeOptions& options, hub::Bus& bus,
           hub::BridgeCounts& counts, base::Log& log);

    void start() { link_->start(); }

    // What the processes of this host do.
    /// A topic is called as in hub::TopicKey::bytes().
    void publish(std::string_view key, const engine::SharedFrame& frame);
    /// Messages that did not even get here.
    void count_dropped(std::size_t messages) noexcept;
    /// Their topic, or hub::kAllTopics.
    void tell_lost(std::string_view key) noexcept;
    void set_interest(std::uint64_t link, std::string_view key, bool wanted);
    void drop_link(std::uint64_t link);
    /// Behind some of these.
    void flush();
    /// This host ends, with all processes: nobody is present in it any more.
    void say_goodbye();

    /// Nothing waits to be published, or there is no broker to wait for.
    [[nodiscard]] bool is_idle() const noexcept {
        return !link_->is_up() ||
               (queue_.empty() && link_->is_idle() && (!relay_ || relay_->is_idle()));
    }
    [[nodiscard]] bool is_up() const noexcept { return link_->is_up(); }

private:
    struct Other {
        std::uint64_t dropped;
        std::uint64_t heartbeat;  ///< number of the last one
        std::chrono::milliseconds seen;
    };

    void on_up() override;
    void on_down(const BrokerLink::Loss& loss) override;
    void on_message(const std::string& channel, std::string_view payload) override;
    void on_published(bool accepted) override;
    void on_room() override;
    void on_missed() override;
    void on_answer(Reply&& reply) override;
    [[nodiscard]] bool has_room() const noexcept override { return link_->has_room(); }
    void send_presence(std::string_view payload) override;
    [[nodiscard]] bool note_watch(std::string_view key);
    void on_heartbeat(const Envelope& envelope);
    void deliver(Subscriptions::Channel& channel, const Envelope& envelope);
    void feed();
    void beat();
    void tidy();
    void forget_silent_hosts();
    void mark();
    void on_marked();
    /// Of a topic, by its hub::TopicKey::bytes(), or of hub::kAllTopics.
    void raise_gap(std::string_view key, hub::GapReason why);
    void refuse(const std::string& channel) noexcept;

    net::Reactor& reactor_;
    const BridgeOptions options_;
    hub::Bus& bus_;
    hub::BridgeCounts& counts_;
    base::Log& log_;
    const std::string hosts_channel_;
    const std::string marker_channel_;  ///< the last one that is subscribed to when it comes up
    const std::string presence_channel_;
    const std::unique_ptr<BrokerLink> link_;
    std::optional<PresenceExchange> presence_;
    std::optional<HistoryRelay> relay_;
    OutgoingQueue queue_;
    Subscriptions subscriptions_;
    Sequences sequences_;
    std::unordered_map<std::uint64_t, Other> others_;  ///< bridges of other hosts
    std::uint64_t dropped_ = 0;                        ///< told to others
    std::uint64_t uncertain_;       ///< times that nobody knows of; told with what was dropped
    std::uint64_t heartbeats_ = 0;  ///< sent
    std::chrono::milliseconds alive_{0};  ///< last own heartbeat that came back
    std::chrono::steady_clock::time_point beat_at_;
    bool was_up_ = false;
    std::optional<std::chrono::milliseconds>
        marking_since_;  ///< it came up again, and the gap is still to be told
    base::LogThrottle gap_line_;
    std::uint64_t gaps_said_ = 0;
    base::LogThrottle drop_line_;
    std::uint64_t drops_said_ = 0;
    base::LogThrottle refused_line_;
    net::Timer heartbeat_timer_;
    net::Timer tidy_timer_;
    net::Timer presence_timer_;
};

}  // namespace websocket::bridge
