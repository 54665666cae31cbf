// SPDX-License-Identifier: Apache-2.0
#include "httpd/siblings/doorkeeper.hpp"

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <utility>

#include "base/signal_mask.hpp"
#include "httpd/siblings/arrival.hpp"

namespace websocket::httpd {

using namespace std::chrono_literals;

namespace {

/// After that a client is taken out of the queue by whoever finds it.
constexpr auto kForgotten = 200ms;
/// A client for which no place is found is refused after that.
constexpr auto kMaxWait = 5s;
/// The same where all seem full and stay, which a connection that ends may change.
constexpr auto kMaxWaitWithoutRoom = 400ms;
/// A child that could not take one leaves the next to others for so long.
constexpr auto kRest = 100ms;

constexpr int kQueuePollInterval = 50;  // ms, while a client may be forgotten
constexpr int kBusyPollInterval = 20;   // ms, of a child that is ahead while connections come or go
constexpr int kQuietPollInterval = 1000;  // ms, of one where nothing changes

void watch(int epoll, int operation, int descriptor, std::uint32_t events) noexcept {
    epoll_event event{};
    event.events = events;
    event.data.fd = descriptor;
    ::epoll_ctl(epoll, operation, descriptor, &event);
}

}  // namespace

Doorkeeper::Doorkeeper(const Siblings& siblings, engine::Engine& engine, std::uint32_t max_guests)
    : siblings_(siblings), engine_(engine), guests_(max_guests),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    if (!epoll_.valid()) {
        throw std::system_error(errno, std::generic_category(), "epoll_create1");
    }
    watch(epoll_.get(), EPOLL_CTL_ADD, wake_.descriptor(), EPOLLIN | EPOLLET);  // never read
    running_.store(true);
    const base::SignalsBlocked blocked;  // inherited by the thread
    thread_ = std::thread([this] { run(); });
}

Doorkeeper::~Doorkeeper() {
    begin_stop();
    thread_.join();
}

bool Doorkeeper::leave_to_sibling(int socket) noexcept {
    if (draining_.load() || !siblings_.queue().put(socket)) {
        return false;
    }
    if (!has_left_some_.exchange(true)) {
        wake_.wake();
    }
    return true;
}

void Doorkeeper::look_again() noexcept { wake_.wake(); }

void Doorkeeper::begin_drain() noexcept {
    draining_.store(true);
    guests_.begin_drain();
    wake_.wake();
}

void Doorkeeper::begin_stop() noexcept {
    stopping_.store(true);
    wake_.wake();
    guests_.begin_stop();
}

void Doorkeeper::run() noexcept {
    while (!stopping_.load()) {
        siblings_.end_doubt();
        take_clients(wants_clients());
        epoll_event event{};
        ::epoll_wait(epoll_.get(), &event, 1, patience());
        if (takes_) {
            receive_all();
        }
        receive_forgotten();
        drained_.store(has_drained());
    }
    siblings_.own().waits.store(false);
    running_.store(false);
}

// Siblings that stay may have some in the queue all the time: those of this child it has taken back by then.
bool Doorkeeper::has_drained() noexcept {
    if (!draining_.load()) {
        return false;
    }
    const Clock::time_point now = Clock::now();
    drain_seen_ = std::min(drain_seen_, now);
    const bool has_all = !has_left_some_.load() || now >= drain_seen_ + kMaxWait + kForgotten;
    return has_all && !guests_.busy();
}

bool Doorkeeper::wants_clients() noexcept {
    return !draining_.load() && Clock::now() >= takes_none_until_ && guests_.has_free_thread() &&
           Arrival::measure() && !siblings_.is_ahead_of(siblings_.least(Siblings::Which::waiting));
}

// Watched exclusively, so that one client does not wake all children.
void Doorkeeper::take_clients(bool takes) noexcept {
    siblings_.own().waits.store(takes);
    if (std::exchange(takes_, takes) != takes) {
        watch(epoll_.get(), takes ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, siblings_.queue().descriptor(),
              EPOLLIN | EPOLLEXCLUSIVE);
    }
}

int Doorkeeper::patience() noexcept {
    if (has_left_some_.load() || draining_.load()) {
        return kQueuePollInterval;
    }
    const std::uint32_t used = siblings_.used();
    const bool changed = std::exchange(last_seen_, used) != used;
    if (takes_) {
        return used == 0 ? -1
                         : kQuietPollInterval;  // who was woken for a client may have been killed
    }
    return changed ? kBusyPollInterval : kQuietPollInterval;
}

// All that are there, also when this child gets ahead of siblings by that: they were not woken for these.
void Doorkeeper::receive_all() noexcept {
    while (takes_) {
        auto item = siblings_.queue().take();
        if (!item) {
            return;
        }
        receive(std::move(*item));
    }
}

void Doorkeeper::receive(net::SocketQueue::Item item) noexcept {
    auto place = Arrival::reserve(engine_, item.socket.get());
    if (!place || !guests_.has_free_thread()) {
        takes_none_until_ = Clock::now() + kRest;
        take_clients(false);  // so that another is woken for it
        const auto patience = siblings_.will_have_room() ? kMaxWait : kMaxWaitWithoutRoom;
        if (Clock::now() - item.first_put_in < patience && siblings_.queue().put_again(item)) {
            has_left_some_.store(true);
            return;
        }
    }
    guests_.serve({std::move(item.socket), std::move(place)});
}

void Doorkeeper::receive_forgotten() noexcept {
    has_left_some_.store(false);  // before the look: who puts one in later sets it again
    while (const auto put_in = siblings_.queue().oldest()) {
        if (Clock::now() - *put_in < kForgotten) {
            has_left_some_.store(true);
            return;
        }
        siblings_.doubt();
        if (auto item = siblings_.queue().take()) {
            receive(std::move(*item));
        }
    }
}

}  // namespace websocket::httpd
