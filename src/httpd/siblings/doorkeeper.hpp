// SPDX-License-Identifier: Apache-2.0
// Takes the clients that siblings leave to this child.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

#include "base/descriptor.hpp"
#include "base/wake_event.hpp"
#include "engine/engine.hpp"
#include "httpd/siblings/guests.hpp"
#include "httpd/siblings/siblings.hpp"

namespace websocket::httpd {

/// Waits for them while this child has room and is not ahead of its siblings. Whoever has put a client into the
/// queue takes it out again when nobody else does, so none is forgotten when a sibling is killed or hangs.
class Doorkeeper {
public:
    /// Throws std::system_error. [config]
    Doorkeeper(const Siblings& siblings, engine::Engine& engine, std::uint32_t max_guests);
    Doorkeeper(const Doorkeeper&) = delete;
    Doorkeeper& operator=(const Doorkeeper&) = delete;
    ~Doorkeeper();

    /// Leaves a client to whichever sibling takes it. False when that is not possible, or it drains. [httpd worker]
    [[nodiscard]] bool leave_to_sibling(int socket) noexcept;

    /// It may not be ahead any more. [any thread]
    void look_again() noexcept;
    /// Takes only what nobody else does from now on, and lets go who waits for nothing. [any thread]
    void begin_drain() noexcept;
    /// It drains, has answered whom it had taken, and has left nobody in the queue. [any thread]
    [[nodiscard]] bool drained() const noexcept { return drained_.load(); }
    /// [any thread]
    void begin_stop() noexcept;
    /// Async-signal-safe. [any thread]
    [[nodiscard]] bool stopped() const noexcept { return !running_.load() && guests_.stopped(); }

private:
    using Clock = net::SocketQueue::Clock;

    void run() noexcept;
    [[nodiscard]] bool has_drained() noexcept;
    [[nodiscard]] bool wants_clients() noexcept;
    void take_clients(bool takes) noexcept;
    [[nodiscard]] int patience() noexcept;
    void receive_all() noexcept;
    void receive(net::SocketQueue::Item item) noexcept;
    void receive_forgotten() noexcept;

    const Siblings& siblings_;
    engine::Engine& engine_;
    Guests guests_;
    base::WakeEvent wake_;
    base::Descriptor epoll_;
    std::atomic<bool> draining_{false};
    std::atomic<bool> drained_{false};
    std::atomic<bool> stopping_{false};
    std::atomic<bool> running_{false};
    std::atomic<bool> has_left_some_{false};                   ///< which may still be in the queue
    bool takes_ = false;                                       // [doorkeeper]
    Clock::time_point takes_none_until_;                       // [doorkeeper]
    std::uint32_t last_seen_ = 0;                              // [doorkeeper]
    Clock::time_point drain_seen_ = Clock::time_point::max();  // [doorkeeper]
    std::thread thread_;
};

}  // namespace websocket::httpd
