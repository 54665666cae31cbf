// SPDX-License-Identifier: Apache-2.0
// One connection to a NATS server, by libnats.
#pragma once

#include <nats/nats.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>

#include "bridge/broker_link.hpp"
#include "bridge/nats_events.hpp"
#include "hub/broker_url.hpp"

namespace websocket::bridge {

/// Belongs to one thread, which waits for the network; the library's own threads post what comes.
class NatsConnection {
public:
    /// Connects within options.patience. When that fails there is nothing, and `why` tells people. The options outlive
    /// it. Throws std::bad_alloc.
    [[nodiscard]] static std::unique_ptr<NatsConnection>
    connect(const BrokerLinkOptions& options, const hub::BrokerUrl::Host& host, NatsEvents& events,
            std::uint64_t number, std::string& why);
    NatsConnection(const NatsConnection&) = delete;
    NatsConnection& operator=(const NatsConnection&) = delete;
    ~NatsConnection();

    // Errors are statuses of libnats; each but what is said ends the connection.

    /// NATS_MAX_PAYLOAD: it is too large for the server.
    [[nodiscard]] natsStatus publish(const std::string& subject, const std::string& payload);
    [[nodiscard]] natsStatus subscribe(const std::string& subject);
    void unsubscribe(const std::string& subject) noexcept;
    /// Waits until the server has taken all of the above. NATS_TIMEOUT: it has not yet.
    [[nodiscard]] natsStatus confirm(std::chrono::milliseconds most) noexcept;
    /// Of a message.
    [[nodiscard]] std::size_t max_payload() const noexcept;

private:
    struct DestroyConnection {
        void operator()(natsConnection* connection) const noexcept {
            ::natsConnection_Destroy(connection);
        }
    };
    struct DestroySubscription {
        void operator()(natsSubscription* subscription) const noexcept {
            ::natsSubscription_Destroy(subscription);
        }
    };
    using Connection = std::unique_ptr<natsConnection, DestroyConnection>;
    using Subscription = std::unique_ptr<natsSubscription, DestroySubscription>;

    NatsConnection(Connection connection, NatsEvents& events, std::size_t most_waiting) noexcept
        : connection_(std::move(connection)), events_(events), most_waiting_(most_waiting) {}

    const Connection connection_;
    NatsEvents& events_;
    const std::size_t most_waiting_;
    std::unordered_map<std::string, Subscription> subscriptions_;  ///< by subject
};

}  // namespace websocket::bridge
