// SPDX-License-Identifier: Apache-2.0
#include "engine/watches.hpp"

#include <sys/epoll.h>

#include <utility>

namespace websocket::engine {

bool Watches::poll(Watch& watch, int operation, std::uint32_t events) noexcept {
    epoll_event event{};
    event.events = events;
    event.data.ptr = reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(&watch) | kTag);
    return ::epoll_ctl(epoll_, operation, watch.descriptor.get(), &event) == 0;
}

bool Watches::start(std::uint64_t number, ConnectionId owner, base::Descriptor descriptor,
                    std::uint32_t events, std::unique_ptr<WatchTask> task) {
    auto watch = std::make_unique<Watch>();
    watch->number = number;
    watch->descriptor = std::move(descriptor);
    watch->events = events;
    watch->task = std::move(task);
    // Room for the day when it ends: that must not fail.
    const std::size_t most_ended = ended_.size() + count_ + 1;
    if (ended_.capacity() < most_ended) {
        ended_.reserve(2 * most_ended);
    }
    Watch& added = watches_.add(number, owner, std::move(watch));
    if (!poll(added, EPOLL_CTL_ADD, events)) {
        static_cast<void>(watches_.take(number));
        return false;
    }
    ++count_;
    return true;
}

void Watches::change(std::uint64_t number, std::uint32_t events) noexcept {
    if (Watch* watch = watches_.find(number)) {
        watch->events = events;
        if (!watch->resting) {
            static_cast<void>(poll(*watch, EPOLL_CTL_MOD, events));
        }
    }
}

void Watches::rearm(std::uint64_t number) noexcept {
    if (Watch* watch = watches_.find(number)) {
        watch->resting = false;
        static_cast<void>(poll(*watch, EPOLL_CTL_MOD, watch->events));
    }
}

void Watches::stop(std::uint64_t number) noexcept {
    if (std::unique_ptr<Watch> watch = watches_.take(number)) {
        ::epoll_ctl(epoll_, EPOLL_CTL_DEL, watch->descriptor.get(), nullptr);
        --count_;
        ended_.push_back(std::move(watch));
    }
}

void Watches::stop_all(ConnectionId owner) noexcept {
    std::uint64_t number = 0;
    while ((number = watches_.any_of(owner)) != 0) {
        stop(number);
    }
}

void Watches::stop_all() noexcept {
    std::uint64_t number = 0;
    while ((number = watches_.any()) != 0) {
        stop(number);
    }
}

void Watches::bury() noexcept {
    while (!ended_.empty()) {
        // The task's destructor may end further watches.
        const std::unique_ptr<Watch> watch = std::move(ended_.back());
        ended_.pop_back();
    }
}

void Watches::on_ready(void* data, std::uint32_t events) noexcept {
    auto* watch = reinterpret_cast<Watch*>(reinterpret_cast<std::uintptr_t>(data) & ~kTag);
    if (watches_.find(watch->number) != watch || watch->resting) {
        return;  // ended meanwhile
    }
    if (!watch->task->ready(events) && watches_.find(watch->number) == watch) {
        watch->resting = true;
        // An event mask of 0 still reports errors, again and again: out with it until rearm().
        static_cast<void>(poll(*watch, EPOLL_CTL_MOD, EPOLLONESHOT));
    }
}

}  // namespace websocket::engine
