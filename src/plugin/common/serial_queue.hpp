// SPDX-License-Identifier: Apache-2.0
// What happens to one session on its way from the loop to the pool: in order, one thing at a time.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "engine/session.hpp"
#include "plugin/common/endpoint.hpp"
#include "plugin/common/input_batch.hpp"
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

    /// handle() will get it. Throws std::bad_alloc. [loop]
    engine::Flow push(engine::Message message);
    /// [loop]
    engine::Flow push(QueuedMessage::Owner message) noexcept;
    /// handle_open() will be called, before everything else. Allocates nothing. [loop]
    void push_open() noexcept;
    /// handle_writable() will be called once for any number of these. Allocates nothing. [loop]
    void push_writable() noexcept;
    /// handle_end() will be called, after everything else. Allocates nothing. [loop]
    void push_end() noexcept { schedule(); }
    /// For Session::drained(). [loop]
    [[nodiscard]] bool drained() noexcept;
    /// For Session::keeps_messages(): unless they are handled where they were read. [loop]
    [[nodiscard]] bool keeps_messages() const noexcept { return !pace().brief(); }
    /// What stopped because there was no room may go on. Anything may have happened when this returns, the end
    /// included, unless the caller knows better. [any thread]
    void unpark() noexcept;

    // [pool]
    /// False while answers would have to wait for the client: then nothing is handled until
    /// Session::on_writable() or on_close(), which call unpark().
    [[nodiscard]] virtual bool has_room() noexcept { return true; }
    virtual void handle(QueuedMessage& message) noexcept = 0;
    /// Messages are lost for want of memory: handle() shall do nothing with those that follow.
    virtual void break_off() noexcept = 0;
    virtual void handle_open() noexcept {}
    virtual void handle_writable() noexcept {}
    virtual void handle_end() noexcept = 0;
    /// Deletes this, behind handle_end().
    virtual void remove() noexcept = 0;

    [[nodiscard]] Host& host() const noexcept { return host_; }
    [[nodiscard]] const Endpoint& endpoint() const noexcept { return endpoint_; }
    [[nodiscard]] engine::ConnectionId id() const noexcept { return id_; }

private:
    using Clock = std::chrono::steady_clock;

    enum Signal : std::uint8_t { kOpen = 1, kWritable = 2 };

    /// Pending, but neither submitted nor running. `soon`: it still runs, and goes on when it is unparked by now.
    enum class Parked : std::uint8_t { no, soon, yes };

    void run() noexcept override;
    /// What waits, or was handled: things, the end among them, and what messages weigh.
    struct Amount {
        std::uint32_t things = 0;
        std::size_t bytes = 0;
    };

    [[nodiscard]] engine::Flow flow_with(std::size_t bytes) noexcept;
    [[nodiscard]] InputBatch* batch_for(const engine::Message& message) noexcept;
    [[nodiscard]] bool run_batch(InputBatch& batch, Clock::time_point begun) noexcept;
    void keep(std::span<QueuedMessage> messages) noexcept;
    void run_some(Clock::time_point begun) noexcept;
    [[nodiscard]] std::uint32_t settle(Amount& done) noexcept;
    [[nodiscard]] bool take(Signal signal) noexcept;
    void schedule() noexcept;
    void submit() noexcept;
    [[nodiscard]] bool park() noexcept;
    [[nodiscard]] bool pause_until_fallen() noexcept;
    [[nodiscard]] std::size_t resume_mark() const noexcept;
    void resume_if_fallen() noexcept;

    [[nodiscard]] static constexpr std::uint64_t word_of(const Amount& amount) noexcept {
        return std::uint64_t{amount.bytes} << kThingsBits | amount.things;
    }
    [[nodiscard]] static constexpr Amount amount_of(std::uint64_t word) noexcept {
        return {static_cast<std::uint32_t>(word & ((1U << kThingsBits) - 1)), word >> kThingsBits};
    }
    /// 64 GiB, and as many things as that many bytes can be.
    static constexpr unsigned kThingsBits = 28;

    Host& host_;
    const Endpoint& endpoint_;
    const engine::ConnectionId id_;
    MessageQueue messages_;
    std::atomic<std::uint64_t> backlog_{0};  // an Amount: what is not handled yet
    std::atomic<std::uint8_t> signals_{0};   // those of the things that are no message
    std::atomic<Parked> parked_{Parked::no};
    std::atomic<bool> paused_{false};    // the engine waits for the bytes of backlog_ to fall
    std::atomic<bool> draining_{false};  // ... to nothing, else to half of receive_buffer
};

}  // namespace websocket::plugin
