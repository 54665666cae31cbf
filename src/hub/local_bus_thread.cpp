// SPDX-License-Identifier: Apache-2.0
// The thread of the local bus.
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <optional>
#include <string_view>

#include "hub/local_bus.hpp"
#include "hub/local_socket.hpp"
#include "hub/record.hpp"

namespace websocket::hub {

using base::Descriptor;

namespace {

/// Until something is tried again that the system or another process refused for the moment.
constexpr std::chrono::milliseconds kPause{50};
constexpr std::uint32_t kGone = EPOLLIN | EPOLLRDHUP;  // nobody writes to an outgoing link

}  // namespace

void LocalBus::run() noexcept {
    while (!over()) {
        try {
            run_once();
        } catch (const std::bad_alloc&) {
            lose(Drop::no_resources);
        }
    }
    outgoing_.clear();
    incoming_.clear();
    static_cast<void>(drops_->report());
    running_.store(false);
}

void LocalBus::run_once() {
    static_cast<void>(reactor_->wait(most_wait()));
    reactor_->dispatch();
    reactor_->fire_timers();
    take_inbox();
    if (greets_.exchange(false)) {
        greet_all();
    }
    feed_bridge();
    if (!gap_pace_.empty()) {
        pass_on_gaps();
    }
    if (report_.exchange(false) && drops_->report()) {
        report_.store(true);
    }
    if (stop_requested_.load()) {
        leave();
    }
}

std::chrono::milliseconds LocalBus::most_wait() const noexcept {
    constexpr std::chrono::milliseconds kLongest{60'000};
    if (left_) {
        return kPause;
    }
    return report_.load() || !gap_pace_.empty() ? base::LogThrottle::kPause : kLongest;
}

void LocalBus::try_again_soon(net::EventHandler& handler) noexcept {
    reactor_->set_time(handler, reactor_->now() + net::to_ticks(kPause, kTick));
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
    const auto idle = [](const auto& link) { return link.second->link.empty(); };
    const bool late = Clock::now() >= deadline_;
    if (!late && !std::ranges::all_of(outgoing_, idle)) {
        return false;
    }
    if (late) {
        inbox_->close();
    }
    return late || inbox_->close_if_empty();
}

// --- from other processes ------------------------------------------------------------------------

void LocalBus::accept_links() {
    for (;;) {
        base::Descriptor socket = accept_from(listener_.socket.get());
        if (socket.valid()) {
            const int descriptor = socket.get();
            auto& incoming = incoming_[descriptor];
            incoming = std::make_unique<Incoming>(*this, std::move(socket));
            if (!reactor_->add(descriptor, *incoming, EPOLLIN)) {
                complain("no room in epoll", errno);
                incoming_.erase(descriptor);
            }
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EACCES && errno != ECONNABORTED && errno != EINTR) {
            // It would be reported again and again.
            complain("cannot accept connections", errno);
            static_cast<void>(reactor_->change(listener_.socket.get(), listener_, 0));
            try_again_soon(listener_);
            return;
        }
    }
}

void LocalBus::accept_again() noexcept {
    static_cast<void>(reactor_->change(listener_.socket.get(), listener_, EPOLLIN));
}

void LocalBus::read(Incoming& incoming) noexcept {
    reading_ = incoming.number;
    if (!incoming.link.read({buffer_.get(), buffer_size_}, *this)) {
        incoming_.erase(incoming.link.descriptor());
        if (options_.interests != nullptr) {
            options_.interests->on_link_gone(reading_);
        }
    }
}

void LocalBus::on_record(const TopicKey& key, const engine::SharedFrame& frame) noexcept {
    if (frame.is_plain_message()) {
        receiver_->receive(key, frame);
    } else if (const auto why = gap_of(frame)) {
        gap_pace_.add(key.bytes(), *why);
    } else if (options_.interests != nullptr) {
        options_.interests->on_interest(reading_, key, InterestFeed::is_wanted(frame));
    }
}

void LocalBus::on_lost_record() noexcept {
    lose(Drop::no_resources);
    gap_pace_.add(kAllTopics, GapReason::busy);
}

void LocalBus::pass_on_gaps() {
    gap_pace_.pass_on(Clock::now(), [this](std::string_view key, GapReason why) {
        return receiver_->on_gap(key, why);
    });
}

void LocalBus::lose(Drop why) noexcept {
    if (drops_->count(why)) {
        report_.store(true);
    }
}

// --- to other processes --------------------------------------------------------------------------

void LocalBus::take_inbox() noexcept {
    inbox_->take(batch_);
    for (const Publication& publication : batch_) {
        try {
            route(publication);
        } catch (const std::bad_alloc&) {
            lose(Drop::no_resources);
        }
    }
    batch_.clear();
    if (tells_gaps_.exchange(false)) {
        route_gaps();
    }
    for (const std::uint32_t slot : touched_) {
        flush(slot);
    }
    touched_.clear();
}

void LocalBus::route(const Publication& publication) {
    if (publication.to_bridge) {
        route_to_bridge(publication);
        return;
    }
    const std::uint32_t slots = registry_.slots_used();
    for (std::uint32_t slot = 0; slot < slots; ++slot) {
        const std::uint64_t address = registry_.address(slot);
        if (!wants(slot, address, publication.bucket)) {
            continue;
        }
        Outgoing* outgoing = link_to(slot, address);
        if (outgoing == nullptr) {
            continue;
        }
        push_to(*outgoing, publication);
    }
}

void LocalBus::push_to(Outgoing& outgoing, const Publication& publication) {
    touch(outgoing);
    if (!outgoing.link.push(publication.head, publication.frame, options_.buffer)) {
        lose_at(outgoing, publication);
    }
}

void LocalBus::route_to_bridge(const Publication& publication) {
    const std::uint64_t address = registry_.bridge();
    const auto slot = address != 0 ? registry_.slot_at(address) : std::nullopt;
    if (Outgoing* outgoing = slot ? link_to(*slot, address) : nullptr) {
        push_to(*outgoing, publication);
    } else {
        take_back(publication);
    }
}

void LocalBus::take_back(const Publication& publication) noexcept {
    const ParsedHead head = parse_head(publication.head.bytes());
    if (const auto key = TopicKey::parse(head.key, registry_.hash_key())) {
        receiver_->take_back(*key, publication.frame);
    }
}

void LocalBus::touch(Outgoing& outgoing) {
    if (!outgoing.link.touched) {
        touched_.push_back(outgoing.slot);
        outgoing.link.touched = true;
    }
}

void LocalBus::lose_at(Outgoing& outgoing, const Publication& publication) noexcept {
    lose(Drop::busy_process);
    const ParsedHead head = parse_head(publication.head.bytes());
    // A history has the message for the children of this host; other hosts know nothing of it.
    if (!head.has_place || outgoing.link.address() == registry_.bridge()) {
        outgoing.gaps.add(head.key, GapReason::busy);
    }
}

/// What this process did not send at all.
void LocalBus::route_gaps() {
    Gaps gaps;
    {
        const std::lock_guard lock(gap_mutex_);
        gaps.take(untold_);
    }
    const auto route = [this](std::string_view key, GapReason why) {
        const auto topic = TopicKey::parse(key, registry_.hash_key());
        const std::uint32_t bucket = topic ? Registry::bucket_of(topic->hash()) : 0;
        for (std::uint32_t slot = 0; slot < registry_.slots_used(); ++slot) {
            const std::uint64_t address = registry_.address(slot);
            const bool concerned = key == kAllTopics
                                       ? address != 0 && address != listening_as_.load()
                                       : wants(slot, address, bucket);
            if (Outgoing* outgoing = concerned ? link_to(slot, address) : nullptr) {
                outgoing->gaps.add(key, why);
                touch(*outgoing);
            }
        }
        return true;
    };
    try {
        gaps.tell(route);
    } catch (const std::bad_alloc&) {
        const std::lock_guard lock(gap_mutex_);
        untold_.take(gaps);  // next time
        tells_gaps_.store(true);
        throw;
    }
}

/// Behind what waits, as far as there is room; the rest when there is again.
void LocalBus::push_gaps(Outgoing& outgoing) noexcept {
    try {
        outgoing.gaps.tell([&](std::string_view key, GapReason why) {
            const engine::SharedFrame frame = gap_frame(why);
            return outgoing.link.push(record_head(key, frame), frame, options_.buffer);
        });
    } catch (const std::bad_alloc&) {
        lose(Drop::no_resources);
    }
}

/// Being connected to is how processes that listen learn of a new bridge: see feed_bridge().
void LocalBus::greet_all() noexcept {
    for (std::uint32_t slot = 0; slot < registry_.slots_used(); ++slot) {
        const std::uint64_t address = registry_.address(slot);
        try {
            if (address != 0 && address != listening_as_.load() &&
                link_to(slot, address) != nullptr) {
                flush(slot);
            }
        } catch (const std::bad_alloc&) {
            lose(Drop::no_resources);
        }
    }
}

void LocalBus::feed_bridge() noexcept {
    const std::uint64_t bridge = registry_.bridge();
    if (bridge == listening_as_.load() || listening_as_.load() == 0) {
        return;
    }
    try {
        if (bridge != 0 && feed_bridge_at(bridge)) {
            return;
        }
        interest_feed_->forget();
    } catch (const std::bad_alloc&) {
        interest_feed_->forget();  // and tell all of it, next time
        lose(Drop::no_resources);
    }
}

/// False when there is no way to it.
bool LocalBus::feed_bridge_at(std::uint64_t address) {
    if (interest_feed_->bridge() != address || !outgoing_.contains(interest_feed_->slot())) {
        const auto slot = registry_.slot_at(address);
        if (!slot) {
            return false;
        }
        interest_feed_->begin(address, *slot, *receiver_);
    }
    interest_feed_->take();
    if (interest_feed_->empty()) {
        return true;
    }
    const std::uint32_t slot = interest_feed_->slot();
    Outgoing* outgoing = link_to(slot, address);
    if (outgoing == nullptr) {
        return false;
    }
    interest_feed_->push(outgoing->link, options_.buffer);
    flush(slot);
    return outgoing_.contains(slot);
}

LocalBus::Outgoing::~Outgoing() {
    if (link.connected()) {
        bus.reactor_->remove(link.descriptor(), *this);
    }
    bus.reactor_->clear_time(*this);
}

/// Null when there is nobody any more, or no way to reach it, which is then a loss.
LocalBus::Outgoing* LocalBus::link_to(std::uint32_t slot, std::uint64_t address) {
    std::unique_ptr<Outgoing>& outgoing = outgoing_[slot];
    if (outgoing != nullptr && outgoing->link.address() == address) {
        return outgoing.get();
    }
    try {
        outgoing = std::make_unique<Outgoing>(*this, slot, address);
        outgoing->link.push_hello(hello_);
        if (connect(*outgoing)) {
            return outgoing.get();
        }
    } catch (const std::bad_alloc&) {
        outgoing_.erase(slot);
        throw;
    }
    outgoing_.erase(slot);
    return nullptr;
}

void LocalBus::on_outgoing(Outgoing& outgoing, std::uint32_t events) noexcept {
    if ((events & ~std::uint32_t{EPOLLOUT}) != 0) {
        outgoing_.erase(outgoing.slot);  // what waited there has nobody to go to
    } else {
        flush(outgoing.slot);
    }
}

/// False when there is no use in waiting.
bool LocalBus::connect(Outgoing& outgoing) noexcept {
    OutgoingLink& link = outgoing.link;
    if (registry_.address(outgoing.slot) != link.address()) {
        return false;  // it has ended while its queue was full; others may have its name by now
    }
    const int error = link.connect();
    if (error == EAGAIN) {
        try_again_soon(outgoing);
        return true;
    }
    if (has_ended(error)) {
        registry_.release(outgoing.slot, link.address());
        return false;
    }
    if (error != 0) {
        complain("cannot connect to another child", error);
        lose(Drop::no_resources);
        return false;
    }
    if (reactor_->add(link.descriptor(), outgoing, kGone)) {
        return true;
    }
    complain("no room in epoll", errno);
    lose(Drop::no_resources);
    return false;
}

void LocalBus::connect_again(Outgoing& outgoing) noexcept {
    const std::uint32_t slot = outgoing.slot;
    if (connect(outgoing)) {
        flush(slot);
    } else {
        outgoing_.erase(slot);
    }
}

void LocalBus::flush(std::uint32_t slot) noexcept {
    const auto entry = outgoing_.find(slot);
    if (entry == outgoing_.end()) {
        return;
    }
    OutgoingLink& link = entry->second->link;
    link.touched = false;
    if (!link.connected()) {
        return;
    }
    bool healthy = link.flush();
    if (healthy && !entry->second->gaps.empty()) {
        push_gaps(*entry->second);
        healthy = link.flush();
    }
    if (healthy && link.polled_for_room == link.empty()) {
        link.polled_for_room = !link.empty();
        const std::uint32_t events = kGone | (link.polled_for_room ? EPOLLOUT : 0U);
        healthy = reactor_->change(link.descriptor(), *entry->second, events);
    }
    if (!healthy) {
        outgoing_.erase(entry);
    }
}

}  // namespace websocket::hub
