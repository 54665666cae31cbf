// SPDX-License-Identifier: Apache-2.0
// The way to a Redis: one connection to publish, one to subscribe, and perhaps one to a
// sentinel that knows where the broker is.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "base/log.hpp"
#include "bridge/broker_link.hpp"
#include "bridge/reconnection.hpp"
#include "bridge/redis_connection.hpp"
#include "net/reactor.hpp"
#include "net/timer.hpp"

namespace websocket::bridge {

/// [loop]
class RedisLink final : public BrokerLink, private RedisConnection::Owner {
public:
    using Owner = BrokerLink::Owner;  // not that of the connections

    /// The reactor, the owner and the log outlive it.
    RedisLink(net::Reactor& reactor, BrokerLinkOptions options, Owner& owner, base::Log& log);

    void start() override { connect(); }
    [[nodiscard]] bool is_up() const noexcept override { return phase_ == Phase::up; }
    void drop(const std::string& why) override;
    void publish(std::string_view channel, std::string_view payload) override;
    void subscribe(std::string_view channel) override;
    void unsubscribe(std::string_view channel) override;
    void ask(std::initializer_list<std::string_view> words) override;
    void ask_role() override;
    void flush() override;
    [[nodiscard]] bool has_room() const noexcept override;
    [[nodiscard]] bool is_idle() const noexcept override;

private:
    enum class Phase : std::uint8_t { pausing, finding, greeting, up };
    enum class Expected : std::uint8_t { greeting, role, publication, answer };

    void connect();
    void connect_to(const Endpoint& endpoint);
    void find_broker();
    [[nodiscard]] std::unique_ptr<RedisConnection> make_connection(std::size_t longest_reply);
    void greet(RedisConnection& connection);
    void on_connected(RedisConnection& connection) override;
    void on_reply(RedisConnection& connection, Reply&& reply) override;
    void on_room(RedisConnection& connection) override;
    void on_end(RedisConnection& connection, const std::string& why) override;
    void on_sentinel_reply(const Reply& reply);
    void on_sentinel_end(const std::string& why);
    void take_master(const Reply& reply);
    void on_published_reply(Reply&& reply);
    void on_role(const Reply& reply);
    void on_subscriber_reply(const Reply& reply);
    void note_error(const Reply& reply);
    void go_up_if_ready();

    net::Reactor& reactor_;
    const BrokerLinkOptions options_;
    Owner& owner_;
    Phase phase_ = Phase::pausing;
    Endpoint endpoint_;
    std::unique_ptr<RedisConnection> publisher_;
    std::unique_ptr<RedisConnection> subscriber_;
    std::unique_ptr<RedisConnection> sentinel_;
    std::size_t next_sentinel_ = 0;
    std::size_t sentinels_asked_ = 0;  ///< since the last pause
    std::deque<Expected> expected_;    ///< replies of the publisher
    std::size_t unconfirmed_ = 0;      ///< publications among them
    bool publisher_ready_ = false;
    std::size_t first_subscribed_ = 0;  ///< of the first channels
    Reconnection reconnection_;
    net::Timer patience_;
    net::Timer sentinel_pause_;
};

}  // namespace websocket::bridge
