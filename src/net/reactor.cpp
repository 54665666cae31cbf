// SPDX-License-Identifier: Apache-2.0
#include "net/reactor.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace websocket::net {

Reactor::Reactor(std::chrono::milliseconds tick)
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)), start_(std::chrono::steady_clock::now()),
      wheel_(tick), events_(std::make_unique<std::array<epoll_event, kMaxEvents>>()) {
    epoll_event event{};
    // Each wake() is reported once, read or not: the counter is not full within 2^64 of them.
    event.events = EPOLLIN | EPOLLET;
    event.data.ptr = nullptr;  // nobody's: wake()
    if (!epoll_.valid() ||
        ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.descriptor(), &event) != 0) {
        throw std::system_error(errno, std::generic_category(), "epoll");
    }
}

Reactor::Waited Reactor::wait(std::chrono::milliseconds most) noexcept {
    const auto limit = std::min(most, timers_.timeout(time_, wheel_.timeout(time_, most)));
    const int count = ::epoll_wait(epoll_.get(), events_->data(), kMaxEvents,
                                   static_cast<int>(std::max<std::int64_t>(limit.count(), 0)));
    read_clock();
    ready_ = {events_->data(), static_cast<std::size_t>(std::max(count, 0))};
    Waited waited{false, count < 0, limit};
    for (epoll_event& event : ready_) {
        if (event.data.ptr == nullptr) {
            waited.woken = true;
            break;
        }
    }
    return waited;
}

void Reactor::fire_timers() noexcept {
    timers_.advance(time_);
    wheel_.advance(now_, [](TimerNode& node) { static_cast<EventHandler&>(node).on_time(); });
}

bool Reactor::control(int operation, int descriptor, EventHandler& handler,
                      std::uint32_t events) noexcept {
    epoll_event event{};
    event.events = events;
    event.data.ptr = &handler;
    return ::epoll_ctl(epoll_.get(), operation, descriptor, &event) == 0;
}

bool Reactor::add(int descriptor, EventHandler& handler, std::uint32_t events) noexcept {
    return control(EPOLL_CTL_ADD, descriptor, handler, events);
}

bool Reactor::change(int descriptor, EventHandler& handler, std::uint32_t events) noexcept {
    return control(EPOLL_CTL_MOD, descriptor, handler, events);
}

void Reactor::remove(int descriptor, const EventHandler& handler) noexcept {
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, descriptor, nullptr);
    for (epoll_event& event : ready_) {
        if (event.data.ptr == &handler) {
            event.data.ptr = nullptr;
        }
    }
}

std::chrono::milliseconds Reactor::elapsed() const noexcept {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                                 start_);
}

void Reactor::read_clock() noexcept {
    time_ = elapsed();
    now_ = wheel_.tick_of(time_);
}

}  // namespace websocket::net
