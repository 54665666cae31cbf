// SPDX-License-Identifier: Apache-2.0
// What happens to one session on its way from the loop to the pool: in order, one thing at a time.
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/session.hpp"
#include "plugin/common/endpoint.hpp"
#include "plugin/common/message_queue.hpp"
#include "plugin/common/pool.hpp"

namespace websocket::plugin {

/// Base of sessions whose callbacks may block. Tells the engine to stop reading when more than
/// receive_buffer waits.
class SerialQueue : private PoolTask {
protected:
    SerialQueue(Host& host, const Endpoint& endpoint, engine::ConnectionId id) noexcept
        : PoolTask(host.pool.lane(endpoint.place)), host_(host), endpoint_(endpoint), id_(id) {}
    ~SerialQueue() = default;

    /// handle() will get it. [loop]
    engine::Flow push(QueuedMessage::Owner message) noexcept;
    /// handle_open() will be called, before everything else. Allocates nothing. [loop]
    void push_open() noexcept;
    /// handle_writable() will be called once for any number of these. Allocates nothing. [loop]
    void push_writable() noexcept;
    /// handle_end() will be called, after everything else. Allocates nothing. [loop]
    void push_end() noexcept { schedule(); }
    /// For Session::drained(). [loop]
    [[nodiscard]] bool drained() noexcept;
    /// What stopped because there was no room may go on. Anything may have happened when this returns, the end
    /// included, unless the caller knows better. [any thread]
    void unpark() noexcept;

    // [pool]
    /// False while answers would have to wait for the client: then nothing is handled until
    /// Session::on_writable() or on_close(), which call unpark().
    [[nodiscard]] virtual bool has_room() noexcept { return true; }
    virtual void handle(QueuedMessage& message) noexcept = 0;
    virtual void handle_open() noexcept {}
    virtual void handle_writable() noexcept {}
    /// May delete this.
    virtual void handle_end() noexcept = 0;

    [[nodiscard]] Host& host() const noexcept { return host_; }
    [[nodiscard]] const Endpoint& endpoint() const noexcept { return endpoint_; }
    [[nodiscard]] engine::ConnectionId id() const noexcept { return id_; }

private:
    enum Signal : std::uint8_t { kOpen = 1, kWritable = 2 };

    void run() noexcept override;
    [[nodiscard]] bool take(Signal signal) noexcept;
    void schedule() noexcept;
    [[nodiscard]] bool park() noexcept;
    [[nodiscard]] bool pause_until_fallen() noexcept;
    [[nodiscard]] std::size_t resume_mark() const noexcept;
    void handled(std::size_t weight) noexcept;

    Host& host_;
    const Endpoint& endpoint_;
    const engine::ConnectionId id_;
    MessageQueue messages_;
    std::atomic<std::size_t> queued_{0};     // weight of what is not handled yet
    std::atomic<std::uint32_t> pending_{0};  // things, the end among them, not handled yet
    std::atomic<std::uint8_t> signals_{0};   // those of the things that are no message
    std::atomic<bool> parked_{false};        // pending, but neither submitted nor running
    std::atomic<bool> paused_{false};        // the engine waits for queued_ to fall
    std::atomic<bool> draining_{false};      // ... to nothing, else to half of receive_buffer
};

}  // namespace websocket::plugin
