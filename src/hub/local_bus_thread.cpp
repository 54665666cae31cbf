// SPDX-License-Identifier: Apache-2.0
// The thread of the local bus.
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <new>

#include "hub/local_bus.hpp"
#include "hub/local_bus_tags.hpp"
#include "hub/local_socket.hpp"

namespace websocket::hub {

using base::Descriptor;

namespace {

/// Until something is tried again that the system or another process refused for the moment.
constexpr std::chrono::milliseconds kPause{50};
constexpr std::size_t kEvents = 64;
constexpr std::uint32_t kGone = EPOLLIN | EPOLLRDHUP;  // nobody writes to an outgoing link

}  // namespace

void LocalBus::run() noexcept {
    while (!over()) {
        try {
            run_once();
        } catch (const std::bad_alloc&) {
            lose(Loss::no_resources);
        }
    }
    outgoing_.clear();
    incoming_.clear();
    static_cast<void>(losses_->report());
    running_.store(false);
}

void LocalBus::run_once() {
    std::array<epoll_event, kEvents> events;
    const int count = ::epoll_wait(epoll_.get(), events.data(), kEvents, timeout());
    for (int i = 0; i < count; ++i) {
        const epoll_event& event = events.at(static_cast<std::size_t>(i));
        handle(event.data.u64, event.events);
    }
    take_inbox();
    const Clock::time_point now = Clock::now();
    if (accept_again_ && now >= *accept_again_) {
        accept_again_.reset();
        static_cast<void>(watch(EPOLL_CTL_MOD, listener_.get(), EPOLLIN, tag::kListener));
    }
    if (connect_again_ && now >= *connect_again_) {
        connect_again_.reset();
        connect_the_rest();
    }
    if (report_.exchange(false) && losses_->report()) {
        report_.store(true);
    }
    if (stop_requested_.load()) {
        leave();
    }
}

int LocalBus::timeout() const noexcept {
    using std::chrono::milliseconds;
    constexpr milliseconds kLongest{60'000};
    milliseconds wait = kLongest;
    if (accept_again_ || connect_again_ || left_) {
        wait = kPause;
    } else if (report_.load()) {
        wait = base::LimitedLine::kPause;
    }
    return static_cast<int>(wait.count());
}

void LocalBus::handle(std::uint64_t what, std::uint32_t events) {
    const auto number = static_cast<std::uint32_t>(what);
    if (what == tag::kInbox) {
        std::uint64_t count = 0;
        static_cast<void>(!::read(event_.get(), &count, sizeof count));
    } else if (what == tag::kListener) {
        accept_links();
    } else if ((what & tag::kKind) == tag::kIncoming) {
        read(static_cast<int>(number));
    } else if ((events & ~std::uint32_t{EPOLLOUT}) != 0) {
        outgoing_.erase(number);  // what waited there has nobody to go to
    } else {
        flush(number);
    }
}

/// All threads that could subscribe or publish have ended, or nearly: they need not hear of us any
/// more, but what they have sent should go out.
void LocalBus::leave() noexcept {
    if (left_) {
        return;
    }
    left_ = true;
    deadline_ = Clock::now() + kStopTimeout;
    if (const std::uint64_t address = listening_as_.load()) {
        registry_.release(slot_, address);
    }
}

bool LocalBus::over() noexcept {
    if (!left_) {
        return false;
    }
    const auto idle = [](const auto& link) { return link.second->empty(); };
    const bool late = Clock::now() >= deadline_;
    if (!late && !std::ranges::all_of(outgoing_, idle)) {
        return false;
    }
    const std::lock_guard lock(inbox_mutex_);
    inbox_closed_ = late || inbox_.empty();
    return inbox_closed_;
}

// --- from other processes ------------------------------------------------------------------------

void LocalBus::accept_links() {
    for (;;) {
        base::Descriptor socket = accept_from(listener_.get());
        if (socket.valid()) {
            const int descriptor = socket.get();
            incoming_[descriptor] = std::make_unique<IncomingLink>(std::move(socket), registry_);
            const std::uint64_t what = tag::kIncoming | static_cast<std::uint32_t>(descriptor);
            if (!watch(EPOLL_CTL_ADD, descriptor, EPOLLIN, what)) {
                complain("no room in epoll", errno);
                incoming_.erase(descriptor);
            }
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EACCES && errno != ECONNABORTED && errno != EINTR) {
            // It would be reported again and again.
            complain("cannot accept connections", errno);
            static_cast<void>(watch(EPOLL_CTL_MOD, listener_.get(), 0, tag::kListener));
            accept_again_ = Clock::now() + kPause;
            return;
        }
    }
}

void LocalBus::read(int descriptor) noexcept {
    const auto link = incoming_.find(descriptor);
    if (link != incoming_.end() && !link->second->read({buffer_.get(), buffer_size_}, *this)) {
        incoming_.erase(link);
    }
}

void LocalBus::on_record(const TopicKey& key, const engine::SharedFrame& frame) noexcept {
    receiver_->receive(key, frame);
}

void LocalBus::on_lost_record() noexcept { lose(Loss::no_resources); }

void LocalBus::lose(Loss why) noexcept {
    if (losses_->count(why)) {
        report_.store(true);
    }
}

// --- to other processes --------------------------------------------------------------------------

void LocalBus::take_inbox() noexcept {
    {
        const std::lock_guard lock(inbox_mutex_);
        inbox_.swap(batch_);
        inbox_octets_ = 0;
    }
    for (const Publication& publication : batch_) {
        try {
            route(publication);
        } catch (const std::bad_alloc&) {
            lose(Loss::no_resources);
        }
    }
    batch_.clear();
    for (const std::uint32_t slot : touched_) {
        flush(slot);
    }
    touched_.clear();
}

void LocalBus::route(const Publication& publication) {
    const std::uint32_t slots = registry_.slots_used();
    for (std::uint32_t slot = 0; slot < slots; ++slot) {
        const std::uint64_t address = registry_.address(slot);
        if (!wants(slot, address, publication.bucket)) {
            continue;
        }
        OutgoingLink* link = link_to(slot, address);
        if (link == nullptr) {
            continue;
        }
        if (!link->touched) {
            touched_.push_back(slot);
            link->touched = true;
        }
        if (!link->push(publication.head, publication.frame, options_.buffer)) {
            lose(Loss::busy_process);
        }
    }
}

/// Null when there is nobody any more, or no way to reach it, which is then a loss.
OutgoingLink* LocalBus::link_to(std::uint32_t slot, std::uint64_t address) {
    std::unique_ptr<OutgoingLink>& link = outgoing_[slot];
    if (link != nullptr && link->address() == address) {
        return link.get();
    }
    try {
        link = std::make_unique<OutgoingLink>(address);
        link->push_hello(hello_);
        if (connect(slot, *link)) {
            return link.get();
        }
    } catch (const std::bad_alloc&) {
        outgoing_.erase(slot);
        throw;
    }
    outgoing_.erase(slot);
    return nullptr;
}

/// False when there is no use in waiting.
bool LocalBus::connect(std::uint32_t slot, OutgoingLink& link) noexcept {
    if (registry_.address(slot) != link.address()) {
        return false;  // it has ended while its queue was full; others may have its name by now
    }
    const int error = link.connect();
    if (error == EAGAIN) {
        connect_again_ = Clock::now() + kPause;
        return true;
    }
    if (has_ended(error)) {
        registry_.release(slot, link.address());
        return false;
    }
    if (error != 0) {
        complain("cannot connect to another child", error);
        lose(Loss::no_resources);
        return false;
    }
    if (watch(EPOLL_CTL_ADD, link.descriptor(), kGone, tag::kOutgoing | slot)) {
        return true;
    }
    complain("no room in epoll", errno);
    lose(Loss::no_resources);
    return false;
}

void LocalBus::connect_the_rest() noexcept {
    for (auto entry = outgoing_.begin(); entry != outgoing_.end();) {
        const auto [slot, link] = std::pair(entry->first, entry->second.get());
        ++entry;
        if (!link->connected()) {
            if (connect(slot, *link)) {
                flush(slot);
            } else {
                outgoing_.erase(slot);
            }
        }
    }
}

void LocalBus::flush(std::uint32_t slot) noexcept {
    const auto entry = outgoing_.find(slot);
    if (entry == outgoing_.end()) {
        return;
    }
    OutgoingLink& link = *entry->second;
    link.touched = false;
    if (!link.connected()) {
        return;
    }
    bool healthy = link.flush();
    if (healthy && link.polled_for_room == link.empty()) {
        link.polled_for_room = !link.empty();
        const std::uint32_t events = kGone | (link.polled_for_room ? EPOLLOUT : 0U);
        healthy = watch(EPOLL_CTL_MOD, link.descriptor(), events, tag::kOutgoing | slot);
    }
    if (!healthy) {
        outgoing_.erase(entry);
    }
}

}  // namespace websocket::hub
