// SPDX-License-Identifier: Apache-2.0
// The way to a NATS server, or to one of a cluster: one connection, by libnats.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.hpp"
#include "base/log_throttle.hpp"
#include "bridge/broker_link.hpp"
#include "bridge/nats_events.hpp"
#include "bridge/nats_worker.hpp"
#include "bridge/reconnection.hpp"
#include "net/reactor.hpp"
#include "net/timer.hpp"

namespace websocket::bridge {

/// [loop]
class NatsLink final : public BrokerLink, private net::EventHandler {
public:
    /// The reactor, the owner and the log outlive it. Throws std::system_error without a thread or a descriptor.
    NatsLink(net::Reactor& reactor, BrokerLinkOptions options, Owner& owner, base::Log& log);
    ~NatsLink() override;

    void start() override { connect(); }
    [[nodiscard]] bool is_up() const noexcept override { return phase_ == Phase::up; }
    void drop(const std::string& why) override;
    void publish(std::string_view channel, std::string_view payload) override;
    void subscribe(std::string_view channel) override;
    void unsubscribe(std::string_view channel) override;
    void ask_role() override {}  // all servers of a cluster are alike
    void flush() override;
    [[nodiscard]] bool has_room() const noexcept override;
    [[nodiscard]] bool is_idle() const noexcept override;

private:
    enum class Phase : std::uint8_t { pausing, connecting, up };

    void connect();
    void abandon_worker();
    void post(NatsWorker::Command::Type type, std::string_view subject, std::string_view payload);
    void on_ready(std::uint32_t events) override;
    void take_events();
    void take_messages();
    void on_event(const NatsEvent& event);
    void on_confirmed(const NatsEvent& event);
    void note_denied(const NatsEvent& event);
    void note_too_large(std::string_view subject, std::size_t size);

    net::Reactor& reactor_;
    const BrokerLinkOptions options_;
    Owner& owner_;
    base::Log& log_;
    Phase phase_ = Phase::pausing;
    NatsEvents& events_;
    std::uint64_t connection_ = 0;  ///< number of the last one
    std::size_t max_payload_ = 0;
    std::size_t unconfirmed_ = 0;                ///< publications
    std::size_t waiting_ = 0;                    ///< bytes of commands that are not confirmed
    std::chrono::milliseconds published_at_{0};  ///< last, by this connection; 0 for never
    base::LogThrottle denied_line_;
    base::LogThrottle too_large_line_;
    std::vector<NatsWorker::Command> commands_;  ///< until flush()
    std::vector<NatsEvent> event_batch_;
    std::vector<NatsMessage> message_batch_;
    Reconnection reconnection_;
    net::Timer patience_;
    std::unique_ptr<NatsWorker> worker_;
    std::vector<std::unique_ptr<NatsWorker>> abandoned_;  ///< that have not ended yet
};

}  // namespace websocket::bridge
