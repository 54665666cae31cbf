// SPDX-License-Identifier: Apache-2.0
// The way to the broker, which comes back by itself: one connection to publish, one to subscribe, and perhaps one to a
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
#include <vector>

#include "base/log.hpp"
#include "bridge/redis_connection.hpp"
#include "client/backoff.hpp"
#include "hub/broker_url.hpp"
#include "net/reactor.hpp"
#include "net/timer.hpp"

namespace websocket::bridge {

struct RedisLinkOptions {
    hub::BrokerUrl url;
    const net::TlsClientContext* tls = nullptr;  ///< outlives the link; null without
    std::vector<std::string> first_channels;     ///< subscribed to before it is up
    std::size_t longest_reply = 0;
    std::chrono::milliseconds patience{5000};  ///< until it is up, or tried again
    std::chrono::milliseconds first_pause{
        100};  ///< before it is tried again; doubled up to the next one
    std::chrono::milliseconds longest_pause{5000};
};

/// [loop]
class RedisLink final : private RedisConnection::Owner {
public:
    /// Must not destroy the link.
    class Owner {
    public:
        virtual ~Owner() = default;
        virtual void on_up() = 0;
        /// Of what was published, so many are on nobody's word.
        virtual void on_down(std::size_t unconfirmed) = 0;
        virtual void on_message(const std::string& channel, std::string_view payload) = 0;
        /// The broker has one more, or has refused it.
        virtual void on_published(bool accepted) = 0;
        virtual void on_room() = 0;
        /// To what was asked, in the order in which it was. After on_down(), nobody answers what was asked before.
        virtual void on_answer(Reply&& /*reply*/) {}
    };

    /// The reactor, the owner and the log outlive it.
    RedisLink(net::Reactor& reactor, RedisLinkOptions options, Owner& owner, base::Log& log);

    /// Once.
    void start() { connect(); }
    [[nodiscard]] bool is_up() const noexcept { return phase_ == Phase::up; }
    /// Ends the connections, and tries again soon.
    void drop(const std::string& why);

    // While it is up; what is sent goes out with flush(). Throw std::bad_alloc.
    void publish(std::string_view channel, std::string_view payload);
    void subscribe(std::string_view channel);
    void unsubscribe(std::string_view channel);
    /// Any command.
    void ask(std::initializer_list<std::string_view> words);
    void ask_role();
    void flush();
    [[nodiscard]] bool has_room() const noexcept;
    /// Nothing waits, and the broker has answered all.
    [[nodiscard]] bool is_idle() const noexcept;

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
    void say_why(const std::string& why);

    net::Reactor& reactor_;
    const RedisLinkOptions options_;
    Owner& owner_;
    base::Log& log_;
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
    client::Backoff backoff_;
    std::chrono::milliseconds up_since_{0};
    std::string last_said_;
    std::chrono::milliseconds last_said_at_{0};
    net::Timer patience_;
    net::Timer pause_;
    net::Timer sentinel_pause_;
};

}  // namespace websocket::bridge
