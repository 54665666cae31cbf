// SPDX-License-Identifier: Apache-2.0
#include "net/watches.hpp"

#include <sys/epoll.h>

#include <utility>

namespace websocket::net {

bool Watches::start(std::uint64_t number, OwnerId owner, base::Descriptor descriptor,
                    std::uint32_t events, std::unique_ptr<WatchTask> task) {
    auto watch = std::make_unique<Watch>(*this);
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
    if (!reactor_.add(added.descriptor.get(), added, events)) {
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
            static_cast<void>(reactor_.change(watch->descriptor.get(), *watch, events));
        }
    }
}

void Watches::rearm(std::uint64_t number) noexcept {
    if (Watch* watch = watches_.find(number)) {
        watch->resting = false;
        static_cast<void>(reactor_.change(watch->descriptor.get(), *watch, watch->events));
    }
}

void Watches::stop(std::uint64_t number) noexcept {
    if (std::unique_ptr<Watch> watch = watches_.take(number)) {
        reactor_.remove(watch->descriptor.get(), *watch);
        --count_;
        ended_.push_back(std::move(watch));
    }
}

void Watches::stop_all(OwnerId owner) noexcept {
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

void Watches::reap() noexcept {
    while (!ended_.empty()) {
        // The task's destructor may end further watches.
        const std::unique_ptr<Watch> watch = std::move(ended_.back());
        ended_.pop_back();
    }
}

void Watches::on_ready(Watch& watch, std::uint32_t events) noexcept {
    const std::uint64_t number = watch.number;
    if (watch.resting) {
        return;
    }
    if (!watch.task->ready(events) && watches_.find(number) == &watch) {
        watch.resting = true;
        // An event mask of 0 still reports errors, again and again: out with it until rearm().
        static_cast<void>(reactor_.change(watch.descriptor.get(), watch, EPOLLONESHOT));
    }
}

}  // namespace websocket::net
