// SPDX-License-Identifier: Apache-2.0
// Any number of descriptors with tasks of their own, each with an owner or with none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/descriptor.hpp"
#include "net/owned_table.hpp"
#include "net/reactor.hpp"

namespace websocket::net {

/// What happens when a descriptor is ready. Destroyed when the watch has ended. [loop]
class WatchTask {
public:
    WatchTask() noexcept = default;
    WatchTask(const WatchTask&) = delete;
    WatchTask& operator=(const WatchTask&) = delete;
    virtual ~WatchTask() = default;

    /// `events` are epoll's. True when the descriptor is to be polled on; else rearm() has to come.
    /// May start and stop watches, also its own.
    [[nodiscard]] virtual bool ready(std::uint32_t events) noexcept = 0;
};

/// [loop]
class Watches {
public:
    explicit Watches(Reactor& reactor) noexcept : reactor_(reactor) {}

    /// Polls `descriptor` for `events`. Throws std::bad_alloc; false when the kernel refuses.
    [[nodiscard]] bool start(std::uint64_t number, OwnerId owner, base::Descriptor descriptor,
                             std::uint32_t events, std::unique_ptr<WatchTask> task);
    void change(std::uint64_t number, std::uint32_t events) noexcept;
    void rearm(std::uint64_t number) noexcept;
    void stop(std::uint64_t number) noexcept;
    void stop_all(OwnerId owner) noexcept;
    void stop_all() noexcept;

    /// Destroys what has ended. No task is on the stack.
    void reap() noexcept;

private:
    struct Watch final : EventHandler {
        explicit Watch(Watches& all) noexcept : watches(all) {}
        void on_ready(std::uint32_t ready) override { watches.on_ready(*this, ready); }

        Watches& watches;
        std::uint64_t number = 0;
        base::Descriptor descriptor;
        std::uint32_t events = 0;
        bool resting = false;  ///< polled no more until rearm()
        std::unique_ptr<WatchTask> task;
    };
    void on_ready(Watch& watch, std::uint32_t events) noexcept;

    Reactor& reactor_;
    OwnedTable<Watch> watches_;
    std::size_t count_ = 0;                      // of watches_
    std::vector<std::unique_ptr<Watch>> ended_;  // their tasks may be on the stack
};

}  // namespace websocket::net
