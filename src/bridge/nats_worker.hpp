// SPDX-License-Identifier: Apache-2.0
// The thread that waits for a NATS server, so that the loop does not.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "bridge/broker_link.hpp"
#include "bridge/nats_events.hpp"

namespace websocket::bridge {

/// Has one connection at a time. What it does is told by events.
class NatsWorker {
public:
    struct Command {
        enum class Type : std::uint8_t { publish, subscribe, unsubscribe };
        Type type;
        std::string subject;
        std::string payload;

        [[nodiscard]] std::size_t bytes() const noexcept {
            return subject.size() + payload.size() + sizeof(Command);
        }
    };

    /// Starts the thread. The events outlive it. Throws std::system_error without one.
    NatsWorker(const BrokerLinkOptions& options, NatsEvents& events);
    NatsWorker(const NatsWorker&) = delete;
    NatsWorker& operator=(const NatsWorker&) = delete;
    /// As finish(), for a few seconds.
    ~NatsWorker();

    // [loop]

    /// Ends the connection, and makes one of that number: an `up` or an `ended` follows. 0 for none.
    void connect(std::uint64_t number) noexcept;
    /// Exchanges the commands, for the connection of now, for an empty batch. Throws std::bad_alloc.
    void post(std::vector<Command>& batch);
    /// Lets the thread end when it can.
    void stop() noexcept;
    [[nodiscard]] bool ended() const;
    /// Waits for its end, but not for ever: then it is left alone.
    void finish(std::chrono::steady_clock::time_point limit);

private:
    class Thread;

    const std::shared_ptr<Thread> state_;  ///< the thread's as well
    std::thread thread_;
};

}  // namespace websocket::bridge
