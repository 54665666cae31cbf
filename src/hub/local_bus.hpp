// SPDX-License-Identifier: Apache-2.0
// The bus between the child processes of one httpd: nothing to install, nothing in between.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/log.hpp"
#include "hub/bus.hpp"
#include "hub/gaps.hpp"
#include "hub/incoming_link.hpp"
#include "hub/interest_feed.hpp"
#include "hub/interest_sink.hpp"
#include "hub/outgoing_link.hpp"
#include "hub/registry.hpp"
#include "net/inbox.hpp"
#include "net/reactor.hpp"

namespace websocket::hub {

struct LocalBusOptions {
    /// Bytes that may wait for this bus's thread, and for each other process; one publication of
    /// any size beyond.
    std::size_t buffer = 16U << 20;
    /// Of the bridge to other hosts: told what the other processes want. Outlives the bus.
    InterestSink* interests = nullptr;
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

    void attach(Receiver& receiver, Drops& losses) noexcept override;
    [[nodiscard]] bool add_interest(const TopicKey& key) noexcept override;
    void remove_interest(const TopicKey& key) noexcept override;
    void show_subscribers(const TopicKey& key, std::uint64_t count) noexcept override;
    [[nodiscard]] std::uint64_t subscribers(const TopicKey& key) const noexcept override;
    [[nodiscard]] bool wanted(const TopicKey& key) const noexcept override;
    [[nodiscard]] BusResult publish(const TopicKey& key,
                                    const engine::SharedFrame& frame) noexcept override;
    [[nodiscard]] bool is_ordered() const noexcept override { return registry_.is_ordered(); }
    [[nodiscard]] BusResult order(const TopicKey& key,
                                  const engine::SharedFrame& frame) noexcept override;
    /// This process becomes the bridge: it gets all that is published, and its InterestSink is called. False as long
    /// as another process is it, or when the bus cannot start. Once true, not again. [any thread]
    [[nodiscard]] bool become_bridge() noexcept;
    void tell_gap(std::string_view key, GapReason why) noexcept override;
    /// The bridge takes what order() is given, from now on.
    void begin_order() noexcept { registry_.set_ordered(listening_as_.load()); }
    void report_soon() noexcept override;
    void begin_stop() noexcept override;
    [[nodiscard]] bool stopped() const noexcept override { return !running_.load(); }

private:
    using Clock = std::chrono::steady_clock;
    static constexpr std::chrono::milliseconds kTick{10};
    struct Publication {
        std::uint32_t bucket;
        bool to_bridge;  ///< and to nobody else
        engine::SharedFrame head;
        engine::SharedFrame frame;
        [[nodiscard]] std::size_t cost() const noexcept;
    };

    /// The socket that others connect to.
    struct Listener final : net::EventHandler {
        explicit Listener(LocalBus& owner) noexcept : bus(owner) {}
        void on_ready(std::uint32_t /*events*/) override { bus.accept_links(); }
        void on_time() noexcept override { bus.accept_again(); }

        LocalBus& bus;
        base::Descriptor socket;
    };
    struct Incoming final : net::EventHandler {
        Incoming(LocalBus& owner, base::Descriptor socket) noexcept
            : bus(owner), number(++owner.last_incoming_), link(std::move(socket), owner.registry_) {
        }
        ~Incoming() { bus.reactor_->remove(link.descriptor(), *this); }
        void on_ready(std::uint32_t /*events*/) override { bus.read(*this); }

        LocalBus& bus;
        const std::uint64_t number;
        IncomingLink link;
    };
    struct Outgoing final : net::EventHandler {
        Outgoing(LocalBus& owner, std::uint32_t number, std::uint64_t address) noexcept
            : bus(owner), slot(number), link(address) {}
        ~Outgoing();
        void on_ready(std::uint32_t events) override { bus.on_outgoing(*this, events); }
        void on_time() noexcept override { bus.connect_again(*this); }

        LocalBus& bus;
        const std::uint32_t slot;
        OutgoingLink link;
        Gaps gaps;  ///< that there was no room to tell of
    };

    // [any thread]
    [[nodiscard]] BusResult post(const TopicKey& key, const engine::SharedFrame& frame,
                                 bool to_bridge) noexcept;
    [[nodiscard]] bool start() noexcept;
    [[nodiscard]] bool listen() noexcept;
    [[nodiscard]] bool wants(std::uint32_t slot, std::uint64_t address,
                             std::uint32_t bucket) const noexcept;
    void complain(const char* what, int error) noexcept;
    void wake() const noexcept;

    // [bus]
    void run() noexcept;
    void run_once();
    [[nodiscard]] std::chrono::milliseconds most_wait() const noexcept;
    void accept_links();
    void accept_again() noexcept;
    void read(Incoming& incoming) noexcept;
    void take_inbox() noexcept;
    void route(const Publication& publication);
    void route_to_bridge(const Publication& publication);
    void push_to(Outgoing& outgoing, const Publication& publication);
    void take_back(const Publication& publication) noexcept;
    void greet_all() noexcept;
    void feed_bridge() noexcept;
    [[nodiscard]] bool feed_bridge_at(std::uint64_t address);
    [[nodiscard]] Outgoing* link_to(std::uint32_t slot, std::uint64_t address);
    void touch(Outgoing& outgoing);
    void lose_at(Outgoing& outgoing, const Publication& publication) noexcept;
    void route_gaps();
    void push_gaps(Outgoing& outgoing) noexcept;
    void pass_on_gaps();
    void on_outgoing(Outgoing& outgoing, std::uint32_t events) noexcept;
    [[nodiscard]] bool connect(Outgoing& outgoing) noexcept;
    void connect_again(Outgoing& outgoing) noexcept;
    void flush(std::uint32_t slot) noexcept;
    void try_again_soon(net::EventHandler& handler) noexcept;
    void leave() noexcept;
    [[nodiscard]] bool over() noexcept;
    void on_record(const TopicKey& key, const engine::SharedFrame& frame) noexcept override;
    void on_lost_record() noexcept override;
    void lose(Drop why) noexcept;

    Registry registry_;
    const LocalBusOptions options_;
    base::Log& log_;
    Receiver* receiver_ = nullptr;
    Drops* drops_ = nullptr;

    std::mutex start_mutex_;  // guards the start
    std::atomic<bool> started_{false};
    std::atomic<bool> running_{false};
    std::atomic<bool> stop_requested_{false};
    std::atomic<bool> report_{false};
    std::unique_ptr<net::Reactor> reactor_;
    std::atomic<const net::Reactor*> woken_{nullptr};  // the same, for signal handlers
    std::unique_ptr<net::Inbox<Publication>> inbox_;
    std::unique_ptr<InterestFeed> interest_feed_;
    std::atomic<bool> greets_{false};
    std::mutex gap_mutex_;                 // guards the next
    Gaps untold_;                          // of what this process did not send
    std::atomic<bool> tells_gaps_{false};  // there are some
    std::thread thread_;

    // who we are for others; set once, when the first subscription comes
    Listener listener_{*this};
    std::atomic<std::uint64_t> listening_as_{0};  // as soon as we have a slot
    std::uint32_t slot_ = 0;
    std::unordered_map<std::uint32_t, std::uint32_t> interest_;  // topics a bucket

    // the thread's own
    std::vector<Publication> batch_;
    std::unordered_map<std::uint32_t, std::unique_ptr<Outgoing>> outgoing_;  // by slot
    std::unordered_map<int, std::unique_ptr<Incoming>> incoming_;            // by descriptor
    std::vector<std::uint32_t> touched_;      // slots of links with something new
    std::unique_ptr<std::uint8_t[]> buffer_;  // what small records are read into
    std::size_t buffer_size_ = 0;
    std::uint64_t last_incoming_ = 0;
    std::uint64_t reading_ = 0;  // number of the link that records come from
    GapPace gap_pace_;           // of what others did not send here
    engine::SharedFrame hello_;
    bool left_ = false;  // the registry; what is queued still goes out
    Clock::time_point deadline_{};
};

}  // namespace websocket::hub
