// SPDX-License-Identifier: Apache-2.0
// The thread that waits for a NATS server, so that the loop does not.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "bridge/broker_link.hpp"
#include "bridge/nats_connection.hpp"
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

    /// Starts the thread. What is referred to outlives it. Throws std::system_error without one.
    NatsWorker(const BrokerLinkOptions& options, NatsEvents& events);
    NatsWorker(const NatsWorker&) = delete;
    NatsWorker& operator=(const NatsWorker&) = delete;
    /// Waits for what the thread waits for: options.patience at most, but for names of hosts.
    ~NatsWorker();

    // [loop]

    /// Ends the connection, and makes one of that number: an `up` or an `ended` follows. 0 for none.
    void connect(std::uint64_t number) noexcept;
    /// Exchanges the commands, for the connection of now, for an empty batch. Throws std::bad_alloc.
    void post(std::vector<Command>& batch);

private:
    using Connection = std::unique_ptr<NatsConnection>;

    void run() noexcept;
    [[nodiscard]] Connection dial(std::uint64_t number);
    [[nodiscard]] bool greet(NatsConnection& connection, std::uint64_t number,
                             const std::string& where);
    void execute(NatsConnection& connection, std::uint64_t number, std::vector<Command>& batch);
    [[nodiscard]] natsStatus await_confirmation(NatsConnection& connection, std::uint64_t number);
    [[nodiscard]] bool is_wanted(std::uint64_t number) const noexcept {
        return wanted_.load() == number;
    }
    void post_end(std::uint64_t number, natsStatus status);
    void post_end(std::uint64_t number, std::string why) noexcept;

    const BrokerLinkOptions& options_;
    NatsEvents& events_;
    std::size_t next_host_;              ///< the thread's own
    std::atomic<std::uint64_t> wanted_;  ///< written under the lock
    std::mutex mutex_;                   // guards what follows
    std::condition_variable changed_;
    std::vector<Command> commands_;
    bool stops_ = false;
    std::thread thread_;  // the last one: it uses the others
};

}  // namespace websocket::bridge
