// SPDX-License-Identifier: Apache-2.0
// Carries what is published in this host to the broker, and what comes from there to the processes of this host.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/log.hpp"
#include "base/log_throttle.hpp"
#include "bridge/envelope.hpp"
#include "bridge/history_relay.hpp"
#include "bridge/outgoing_queue.hpp"
#include "bridge/redis_link.hpp"
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
    std::string prefix;
    std::size_t buffer = 16U << 20;                  ///< bytes that may wait for the broker
    std::chrono::milliseconds longest_wait{10'000};  ///< of a message, for the broker
    std::chrono::milliseconds heartbeat{5000};
    std::chrono::milliseconds silence{
        15'000};  ///< without an own heartbeat: the connection is of no use
    std::chrono::milliseconds unsubscribe_after{2000};
    base::HashKey hash_key{};                    ///< of TopicKey
    std::uint64_t host = 0;                      ///< not 0, and no other bridge's
    std::chrono::milliseconds first_pause{100};  ///< see RedisLinkOptions, as the next
    std::chrono::milliseconds patience{5000};
    hub::History* history = nullptr;             ///< of topics; null for none. Outlives the bridge
    std::function<std::uint64_t()> next_number;  ///< see HistoryRelayOptions, as the next
    std::chrono::milliseconds stall{1500};
};

/// [loop]
class Bridge final : private RedisLink::Owner {
public:
    /// All that is referred to outlives it. `bus` goes to the processes of this host.
    Bridge(net::Reactor& reactor, const BridgeOptions& options, hub::Bus& bus,
           hub::BridgeCounts& counts, base::Log& log);

    void start() { link_.start(); }

    // What the processes of this host do.
    /// A topic is called as in hub::TopicKey::bytes().
    void publish(std::string_view key, const engine::SharedFrame& frame);
    /// Messages that did not even get here.
    void count_dropped(std::size_t messages) noexcept;
    void set_interest(std::uint64_t link, std::string_view key, bool wanted);
    void drop_link(std::uint64_t link);
    /// Behind some of these.
    void flush();

    /// Nothing waits to be published, or there is no broker to wait for.
    [[nodiscard]] bool is_idle() const noexcept {
        return !link_.is_up() ||
               (queue_.empty() && link_.is_idle() && (!relay_ || relay_->is_idle()));
    }
    [[nodiscard]] bool is_up() const noexcept { return link_.is_up(); }

private:
    struct Other {
        std::uint64_t dropped;
        std::chrono::milliseconds seen;
    };

    void on_up() override;
    void on_down(std::size_t unconfirmed) override;
    void on_message(const std::string& channel, std::string_view payload) override;
    void on_published(bool accepted) override;
    void on_room() override;
    void on_answer(Reply&& reply) override;
    void on_heartbeat(const Envelope& envelope);
    void deliver(Subscriptions::Channel& channel, const Envelope& envelope);
    void feed();
    void beat();
    void tidy();
    void forget_silent_hosts();
    void raise_gap(const char* why);
    void refuse(const std::string& channel) noexcept;

    net::Reactor& reactor_;
    const BridgeOptions options_;
    hub::Bus& bus_;
    hub::BridgeCounts& counts_;
    base::Log& log_;
    const std::string hosts_channel_;
    RedisLink link_;
    std::optional<HistoryRelay> relay_;
    OutgoingQueue queue_;
    Subscriptions subscriptions_;
    Sequences sequences_;
    std::unordered_map<std::uint64_t, Other> others_;  ///< bridges of other hosts
    std::uint64_t dropped_ = 0;                        ///< told to others
    std::chrono::milliseconds alive_{0};               ///< last own heartbeat that came back
    std::chrono::steady_clock::time_point beat_at_;
    base::LogThrottle gap_line_;
    std::uint64_t gaps_said_ = 0;
    base::LogThrottle drop_line_;
    std::uint64_t drops_said_ = 0;
    base::LogThrottle refused_line_;
    net::Timer heartbeat_timer_;
    net::Timer tidy_timer_;
};

}  // namespace websocket::bridge
