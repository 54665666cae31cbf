// SPDX-License-Identifier: Apache-2.0
// Descriptors that are no connections of the loop, but that it polls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/descriptor.hpp"
#include "engine/connection_id.hpp"
#include "engine/owned_table.hpp"

namespace websocket::engine {

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
    explicit Watches(int epoll) noexcept : epoll_(epoll) {}

    /// Polls `descriptor` for `events`. Throws std::bad_alloc; false when the kernel refuses.
    [[nodiscard]] bool start(std::uint64_t number, ConnectionId owner, base::Descriptor descriptor,
                             std::uint32_t events, std::unique_ptr<WatchTask> task);
    void change(std::uint64_t number, std::uint32_t events) noexcept;
    void rearm(std::uint64_t number) noexcept;
    void stop(std::uint64_t number) noexcept;
    void stop_all(ConnectionId owner) noexcept;
    void stop_all() noexcept;

    /// True when epoll's data of an event means a watch.
    [[nodiscard]] static bool is_watch(const void* data) noexcept {
        return (reinterpret_cast<std::uintptr_t>(data) & kTag) != 0;
    }
    void on_ready(void* data, std::uint32_t events) noexcept;
    /// All events of one wait were handled, so none of them can mean a watch that has ended.
    void bury() noexcept;

private:
    struct Watch {
        std::uint64_t number = 0;
        base::Descriptor descriptor;
        std::uint32_t events = 0;
        bool resting = false;  ///< polled no more until rearm()
        std::unique_ptr<WatchTask> task;
    };
    static constexpr std::uintptr_t kTag = 1;  // what is aligned has it clear

    [[nodiscard]] bool poll(Watch& watch, int operation, std::uint32_t events) noexcept;

    const int epoll_;
    OwnedTable<Watch> watches_;
    std::size_t count_ = 0;                      // of watches_
    std::vector<std::unique_ptr<Watch>> ended_;  // events for them may be at hand
};

}  // namespace websocket::engine
