// SPDX-License-Identifier: Apache-2.0
// What any thread may call. The thread of the bus is in local_bus_thread.cpp.
#include "hub/local_bus.hpp"

#include <sys/epoll.h>
#include <sys/random.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <optional>
#include <system_error>

#include "base/signal_mask.hpp"
#include "engine/event_form.hpp"
#include "hub/local_socket.hpp"
#include "hub/position.hpp"
#include "hub/record.hpp"

namespace websocket::hub {

using base::Descriptor;
using engine::SharedFrame;

namespace {

constexpr std::size_t kBuffer = 256U << 10;
/// Memory that a publication takes besides its bytes.
constexpr std::size_t kCost = 128;

template <class Value>
std::span<const std::uint8_t> bytes_of(const Value& value) noexcept {
    return {reinterpret_cast<const std::uint8_t*>(&value), sizeof value};
}

}  // namespace

LocalBus::LocalBus(const Registry& registry, const LocalBusOptions& options,
                   base::Log& log) noexcept
    : registry_(registry), options_(options), log_(log) {}

LocalBus::~LocalBus() {
    begin_stop();
    if (thread_.joinable()) {
        thread_.join();
    }
}

void LocalBus::attach(Receiver& receiver, Drops& losses) noexcept {
    receiver_ = &receiver;
    drops_ = &losses;
}

std::size_t LocalBus::Publication::cost() const noexcept {
    return head.bytes().size() + frame.bytes().size() + kCost;
}

// --- life ----------------------------------------------------------------------------------------

bool LocalBus::start() noexcept {
    if (started_.load(std::memory_order_acquire)) {
        return true;
    }
    const std::lock_guard lock(start_mutex_);
    if (started_.load(std::memory_order_relaxed)) {
        return true;
    }
    if (stop_requested_.load()) {
        return false;
    }
    try {
        reactor_ = std::make_unique<net::Reactor>(kTick);
        inbox_ = std::make_unique<net::Inbox<Publication>>(*reactor_, options_.buffer);
        interest_feed_ = std::make_unique<InterestFeed>(*reactor_);
        buffer_ = std::make_unique<std::uint8_t[]>(kBuffer);
        buffer_size_ = kBuffer;
        hello_ = SharedFrame::join(bytes_of(Hello{registry_.secret()}), {});
        const base::SignalsBlocked blocked;  // inherited by the thread
        running_.store(true);
        thread_ = std::thread([this] { run(); });
    } catch (const std::system_error& error) {
        running_.store(false);
        complain("no thread or descriptor", error.code().value());
        return false;
    } catch (const std::bad_alloc&) {
        running_.store(false);
        complain("no memory", ENOMEM);
        return false;
    }
    woken_.store(reactor_.get());
    started_.store(true, std::memory_order_release);
    if (stop_requested_.load()) {
        wake();  // it came meanwhile and could not see the reactor
    }
    return true;
}

void LocalBus::begin_stop() noexcept {
    stop_requested_.store(true);
    wake();
}

void LocalBus::wake() const noexcept {
    if (const net::Reactor* reactor = woken_.load()) {
        reactor->wake();
    }
}

void LocalBus::report_soon() noexcept {
    if (!report_.exchange(true)) {
        wake();
    }
}

void LocalBus::complain(const char* what, int error) noexcept {
    log_.print(base::LogLevel::error, "WS0502: topics do not reach all other children: %s: %s",
               what, std::strerror(error));
}

// --- subscribers here ----------------------------------------------------------------------------

/// Only once others can connect do they learn of us.
bool LocalBus::listen() noexcept {
    if (listening_as_.load() != 0) {
        return true;
    }
    std::uint64_t address = 0;
    while (address == 0) {
        if (::getrandom(&address, sizeof address, 0) != sizeof address) {
            complain("no random number", errno);
            return false;
        }
    }
    base::Descriptor listener = listen_as(address);
    if (!listener.valid()) {
        complain("no socket to listen on", errno);
        return false;
    }
    const std::optional<std::uint32_t> slot = registry_.claim(address);
    if (!slot) {
        complain("more children than ServerLimit", ENOSPC);
        return false;
    }
    listener_.socket = std::move(listener);
    if (!reactor_->add(listener_.socket.get(), listener_, EPOLLIN)) {
        complain("no socket to listen on", errno);
        registry_.release(*slot, address);
        listener_.socket = base::Descriptor();
        return false;
    }
    slot_ = *slot;
    listening_as_.store(address);
    if (stop_requested_.load()) {
        registry_.release(slot_, address);
        return false;
    }
    return true;
}

bool LocalBus::add_interest(const TopicKey& key) noexcept {
    if (!start() || !listen()) {
        return false;
    }
    const std::uint32_t bucket = Registry::bucket_of(key.hash());
    try {
        std::uint32_t& topics = interest_[bucket];
        if (registry_.bridge() != 0) {
            interest_feed_->note(key, true);
        }
        if (++topics == 1) {
            registry_.set_wants(slot_, bucket, true);
        }
    } catch (const std::bad_alloc&) {
        return false;
    }
    return true;
}

void LocalBus::remove_interest(const TopicKey& key) noexcept {
    const std::uint32_t bucket = Registry::bucket_of(key.hash());
    const auto topics = interest_.find(bucket);
    if (--topics->second == 0) {
        interest_.erase(topics);
        registry_.set_wants(slot_, bucket, false);
    }
    if (registry_.bridge() != 0) {
        interest_feed_->note_removed(key);
    }
}

bool LocalBus::become_bridge() noexcept {
    registry_.reap_ended();
    if (registry_.bridge() != 0 || !start() || !listen() || !registry_.set_bridge(slot_)) {
        return false;
    }
    greets_.store(true);
    wake();
    return true;
}

void LocalBus::show_subscribers(const TopicKey& key, std::uint64_t count) noexcept {
    if (registry_.address(slot_) == listening_as_.load()) {  // else it is another's by now
        registry_.subscribers(slot_).set(key.hash(), count);
    }
}

/// Only of those that want the topic: a look at what the others count would take memory.
std::uint64_t LocalBus::subscribers(const TopicKey& key) const noexcept {
    const std::uint32_t bucket = Registry::bucket_of(key.hash());
    const std::uint32_t slots = registry_.slots_used();
    std::uint64_t sum = 0;
    for (std::uint32_t slot = 0; slot < slots; ++slot) {
        if (wants(slot, registry_.address(slot), bucket)) {
            sum += registry_.subscribers(slot).get(key.hash());
        }
    }
    return sum;
}

// --- publications from here ----------------------------------------------------------------------

bool LocalBus::wants(std::uint32_t slot, std::uint64_t address,
                     std::uint32_t bucket) const noexcept {
    return address != 0 && address != listening_as_.load(std::memory_order_relaxed) &&
           registry_.wants(slot, bucket);
}

bool LocalBus::wanted(const TopicKey& key) const noexcept {
    const std::uint32_t bucket = Registry::bucket_of(key.hash());
    const std::uint32_t slots = registry_.slots_used();
    for (std::uint32_t slot = 0; slot < slots; ++slot) {
        if (wants(slot, registry_.address(slot), bucket)) {
            return true;
        }
    }
    return false;
}

BusResult LocalBus::publish(const TopicKey& key, const SharedFrame& frame) noexcept {
    return post(key, frame, false);
}

BusResult LocalBus::order(const TopicKey& key, const SharedFrame& frame) noexcept {
    return post(key, frame, true);
}

BusResult LocalBus::post(const TopicKey& key, const SharedFrame& frame, bool to_bridge) noexcept {
    if (!start()) {
        return BusResult::unavailable;
    }
    try {
        const std::string_view name = key.bytes();
        const std::string_view fields = engine::event_fields_of(frame);
        const RecordPlace place{position_of(frame), origin_of(frame)};
        const bool has_place = place.position || place.origin;
        const RecordHead head{
            static_cast<std::uint32_t>(frame.bytes().size()),
            static_cast<std::uint16_t>(name.size()),
            static_cast<std::uint16_t>(fields.size() | (has_place ? RecordHead::kHasPlace : 0U))};
        SharedFrame before = SharedFrame::join(bytes_of(head), engine::text_bytes(name));
        if (!fields.empty()) {
            before.append(engine::text_bytes(fields), {});
        }
        if (has_place) {
            before.append(bytes_of(place), {});
        }
        Publication publication{Registry::bucket_of(key.hash()), to_bridge, std::move(before),
                                frame};
        const std::size_t cost = publication.cost();
        switch (inbox_->post(std::move(publication), cost)) {
            case net::Posted::yes: return BusResult::ok;
            case net::Posted::full: break;
            case net::Posted::closed: return BusResult::unavailable;
        }
    } catch (const std::bad_alloc&) {
        tell_gap(key.bytes(), GapReason::busy);
        return BusResult::no_memory;
    }
    tell_gap(key.bytes(), GapReason::busy);
    return BusResult::full;
}

void LocalBus::tell_gap(std::string_view key, GapReason why) noexcept {
    if (!start()) {
        return;
    }
    {
        const std::lock_guard lock(gap_mutex_);
        untold_.add(key, why);
    }
    tells_gaps_.store(true);
    wake();
}

}  // namespace websocket::hub
