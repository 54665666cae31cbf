// SPDX-License-Identifier: Apache-2.0
// One connection to a Redis server: bytes out, replies in.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "bridge/reply.hpp"
#include "bridge/reply_reader.hpp"
#include "net/any_transport.hpp"
#include "net/connector.hpp"
#include "net/reactor.hpp"
#include "net/resolver.hpp"
#include "net/timer.hpp"
#include "net/tls_client.hpp"

namespace websocket::bridge {

/// Where a server listens.
struct Endpoint {
    std::string socket_path;  ///< or the next two
    std::string host;
    std::uint16_t port = 0;

    [[nodiscard]] std::string describe() const;
};

/// Connects, once; then what is sent goes out as far as the server takes it. [loop]
class RedisConnection final : private net::EventHandler {
public:
    /// Must not destroy the connection, but may close() it.
    class Owner {
    public:
        virtual ~Owner() = default;
        virtual void on_connected(RedisConnection& connection) = 0;
        virtual void on_reply(RedisConnection& connection, Reply&& reply) = 0;
        /// There is room: see waiting().
        virtual void on_room(RedisConnection& connection) = 0;
        /// It has ended, or was never there: nothing follows.
        virtual void on_end(RedisConnection& connection, const std::string& why) = 0;
    };
    /// From here on, no more should be sent until on_room().
    static constexpr std::size_t kEnough = 256U << 10;

    /// `tls` is null without. Both, and the owner, outlive it.
    RedisConnection(net::Reactor& reactor, const net::TlsClientContext* tls, Owner& owner,
                    std::size_t longest_reply);
    RedisConnection(const RedisConnection&) = delete;
    RedisConnection& operator=(const RedisConnection&) = delete;
    ~RedisConnection() { close(); }

    /// Once. Throws std::bad_alloc.
    void connect(const Endpoint& endpoint);
    /// Sends a command. Nothing goes out before flush(), or before it is connected. Throws std::bad_alloc.
    void send(std::initializer_list<std::string_view> words);
    void flush();
    [[nodiscard]] std::size_t waiting() const noexcept { return out_.size() - written_; }
    /// Without a call of the owner. What waits is lost.
    void close() noexcept;
    [[nodiscard]] bool is_open() const noexcept { return open_; }

private:
    void on_ready(std::uint32_t events) override;
    void on_time() noexcept override;
    void connect_to_path(const std::string& path);
    void take_socket(base::Descriptor socket);
    void shake_hands();
    void begin(net::AnyTransport transport);
    void read();
    void take_replies();
    void poll();
    void end(std::string_view why);

    net::Reactor& reactor_;
    const net::TlsClientContext* const tls_;
    Owner& owner_;
    std::string host_;  ///< that the certificate has to be for
    net::Resolver resolver_;
    std::unique_ptr<net::Connector> connector_;
    std::unique_ptr<net::TlsClientHandshake> handshake_;
    net::AnyTransport transport_;
    ReplyReader reader_;
    std::string out_;
    std::size_t written_ = 0;
    int polled_ = -1;           ///< a descriptor that the reactor knows
    std::uint32_t events_ = 0;  ///< that it is polled for
    bool open_ = false;         ///< transport_ may be used
    bool closed_ = false;
};

}  // namespace websocket::bridge
