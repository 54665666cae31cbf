// SPDX-License-Identifier: Apache-2.0
// The bus between the child processes of one httpd: nothing to install, nothing in between.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/log.hpp"
#include "hub/bus.hpp"
#include "hub/incoming_link.hpp"
#include "hub/outgoing_link.hpp"
#include "hub/registry.hpp"

namespace websocket::hub {

struct LocalBusOptions {
    /// Octets that may wait for this bus's thread, and for each other process; one publication of
    /// any size beyond.
    std::size_t buffer = 16U << 20;
};

/// Each process that has subscribers listens on a socket and says in the Registry for which topics
/// something should be sent to it. Whoever publishes one of them connects, once, and writes. So
/// nobody has to be asked or told when a process comes, goes or is killed, and a process that does
/// not read costs the others a bounded queue. One thread a process does it all; it starts with the
/// first subscription or with the first publication that somebody elsewhere wants.
class LocalBus final : public Bus, private IncomingLink::Sink {
public:
    static constexpr std::chrono::milliseconds kStopTimeout{500};

    /// `log` outlives the bus. Where the parent process has the registry from, this one is its
    /// child. [config]
    LocalBus(const Registry& registry, const LocalBusOptions& options, base::Log& log) noexcept;
    /// Stops and waits for the thread.
    ~LocalBus() override;

    void attach(Receiver& receiver, Losses& losses) noexcept override;
    [[nodiscard]] bool add_interest(const TopicKey& key) noexcept override;
    void remove_interest(const TopicKey& key) noexcept override;
    [[nodiscard]] bool wanted(const TopicKey& key) const noexcept override;
    [[nodiscard]] BusResult publish(const TopicKey& key,
                                    const engine::SharedFrame& frame) noexcept override;
    void report_soon() noexcept override;
    void begin_stop() noexcept override;
    [[nodiscard]] bool stopped() const noexcept override { return !running_.load(); }

private:
    using Clock = std::chrono::steady_clock;
    struct Publication {
        std::uint32_t bucket;
        engine::SharedFrame head;
        engine::SharedFrame frame;
        [[nodiscard]] std::size_t cost() const noexcept;
    };

    // [any thread]
    [[nodiscard]] bool start() noexcept;
    [[nodiscard]] bool listen() noexcept;
    [[nodiscard]] bool wants(std::uint32_t slot, std::uint64_t address,
                             std::uint32_t bucket) const noexcept;
    void complain(const char* what, int error) noexcept;
    void wake() const noexcept;

    // [bus]
    void run() noexcept;
    void run_once();
    [[nodiscard]] int timeout() const noexcept;
    void handle(std::uint64_t tag, std::uint32_t events);
    void accept_links();
    void read(int descriptor) noexcept;
    void take_inbox() noexcept;
    void route(const Publication& publication);
    [[nodiscard]] OutgoingLink* link_to(std::uint32_t slot, std::uint64_t address);
    [[nodiscard]] bool connect(std::uint32_t slot, OutgoingLink& link) noexcept;
    void connect_the_rest() noexcept;
    void flush(std::uint32_t slot) noexcept;
    void leave() noexcept;
    [[nodiscard]] bool over() noexcept;
    void on_record(const TopicKey& key, const engine::SharedFrame& frame) noexcept override;
    void on_lost_record() noexcept override;
    void lose(Loss why) noexcept;
    [[nodiscard]] bool watch(int operation, int descriptor, std::uint32_t events,
                             std::uint64_t tag) const noexcept;

    Registry registry_;
    const LocalBusOptions options_;
    base::Log& log_;
    Receiver* receiver_ = nullptr;
    Losses* losses_ = nullptr;

    std::mutex start_mutex_;  // guards the start
    std::atomic<bool> started_{false};
    std::atomic<bool> running_{false};
    std::atomic<bool> stop_requested_{false};
    std::atomic<bool> report_{false};
    base::Descriptor epoll_;
    base::Descriptor event_;
    std::atomic<int> event_descriptor_{-1};  // the same, for signal handlers
    std::thread thread_;

    // who we are for others; set once, when the first subscription comes
    base::Descriptor listener_;
    std::atomic<std::uint64_t> listening_as_{0};  // as soon as we have a slot
    std::uint32_t slot_ = 0;
    std::unordered_map<std::uint32_t, std::uint32_t> interest_;  // topics a bucket

    std::mutex inbox_mutex_;  // guards the next three
    std::vector<Publication> inbox_;
    std::size_t inbox_octets_ = 0;
    bool inbox_closed_ = false;

    // the thread's own
    std::vector<Publication> batch_;
    std::unordered_map<std::uint32_t, std::unique_ptr<OutgoingLink>> outgoing_;  // by slot
    std::unordered_map<int, std::unique_ptr<IncomingLink>> incoming_;            // by descriptor
    std::vector<std::uint32_t> touched_;      // slots of links with something new
    std::unique_ptr<std::uint8_t[]> buffer_;  // what small records are read into
    std::size_t buffer_size_ = 0;
    engine::SharedFrame hello_;
    bool left_ = false;  // the registry; what is queued still goes out
    Clock::time_point deadline_{};
    std::optional<Clock::time_point> accept_again_;
    std::optional<Clock::time_point> connect_again_;
};

}  // namespace websocket::hub
