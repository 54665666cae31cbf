// SPDX-License-Identifier: Apache-2.0
#include "bridge/bridge.hpp"

#include <algorithm>
#include <cinttypes>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "bridge/channel.hpp"
#include "engine/event_form.hpp"
#include "engine/gate.hpp"
#include "protocol/frame.hpp"

namespace websocket::bridge {

using engine::SharedFrame;
using std::chrono::milliseconds;

namespace {

/// What is around a message that comes: its head, its channel.
constexpr std::size_t kAround = 128U << 10;
constexpr milliseconds kTidy{1000};
/// Other bridges that are remembered.
constexpr std::size_t kMostOthers = 4096;
/// Heartbeats that are missed before another bridge is forgotten.
constexpr int kMissed = 12;

RedisLinkOptions link_options(const BridgeOptions& options) {
    std::vector<std::string> channels{hosts_channel(options.prefix)};
    if (options.history != nullptr) {
        channels.push_back(history_channel(options.prefix));
    }
    return {.url = options.url,
            .tls = options.tls,
            .first_channels = std::move(channels),
            .longest_reply = engine::Gate::kMaxQueued + kAround,
            .patience = options.patience,
            .first_pause = options.first_pause};
}

std::string_view text_of(std::span<const std::uint8_t> bytes) noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <class Function>
auto guarded(Function function) {
    return [function] {
        try {
            function();
        } catch (const std::bad_alloc&) {
            // The timer comes again.
        }
    };
}

}  // namespace

Bridge::Bridge(net::Reactor& reactor, const BridgeOptions& options, hub::Bus& bus,
               hub::BridgeCounts& counts, base::Log& log)
    : reactor_(reactor), options_(options), bus_(bus), counts_(counts), log_(log),
      hosts_channel_(hosts_channel(options.prefix)),
      link_(reactor, link_options(options), *this, log),
      queue_(options.buffer, options.longest_wait),
      heartbeat_timer_(reactor,
                       [this] {
                           heartbeat_timer_.start(options_.heartbeat);
                           guarded([this] { beat(); })();
                       }),
      tidy_timer_(reactor, [this] {
          tidy_timer_.start(kTidy);
          guarded([this] { tidy(); })();
      }) {
    if (options_.history != nullptr) {
        relay_.emplace(reactor_,
                       HistoryRelayOptions{.prefix = options_.prefix,
                                           .host = options_.host,
                                           .next_number = options_.next_number,
                                           .hash_key = options_.hash_key,
                                           .buffer = options_.buffer,
                                           .longest_wait = options_.longest_wait,
                                           .stall = options_.stall},
                       *options_.history, link_, bus_, counts_, log_);
    }
    counts_.connected.store(0);
    counts_.queued_bytes.store(0);
    counts_.subscriptions.store(0);
    tidy_timer_.start(kTidy);
}

// --- from this host ------------------------------------------------------------------------------

void Bridge::publish(std::string_view key, const SharedFrame& frame) {
    if (relay_ && relay_->keeps(key) && relay_->publish(key, frame)) {
        return;
    }
    std::string channel = channel_of(options_.prefix, key);
    // It counts also if it is dropped: that is how others see it.
    const std::uint64_t sequence = sequences_.next(channel);
    count_dropped(queue_.push({std::move(channel), sequence, frame, reactor_.elapsed()}));
}

void Bridge::count_dropped(std::size_t messages) noexcept {
    if (messages != 0) {
        dropped_ += messages;
        counts_.dropped.fetch_add(messages);
    }
}

void Bridge::set_interest(std::uint64_t link, std::string_view key, bool wanted) {
    const std::string channel = channel_of(options_.prefix, key);
    if (!wanted) {
        subscriptions_.unwant(link, channel, reactor_.elapsed());
    } else if (subscriptions_.want(link, channel, key) && link_.is_up()) {
        link_.subscribe(channel);
    }
}

void Bridge::drop_link(std::uint64_t link) { subscriptions_.drop_link(link, reactor_.elapsed()); }

void Bridge::flush() {
    feed();
    if (relay_) {
        relay_->feed();
        count_dropped(relay_->take_dropped());
    }
    link_.flush();
    counts_.queued_bytes.store(queue_.bytes() + (relay_ ? relay_->queued_bytes() : 0));
    counts_.subscriptions.store(subscriptions_.size());
}

void Bridge::feed() {
    while (!queue_.empty() && link_.has_room()) {
        const OutgoingQueue::Item& item = queue_.front();
        const bool text = item.frame.opcode() == protocol::Opcode::text;
        const Envelope envelope{.type = text ? Envelope::Type::text : Envelope::Type::binary,
                                .host = options_.host,
                                .sequence = item.sequence,
                                .fields = engine::event_fields_of(item.frame),
                                .message = text_of(item.frame.payload())};
        link_.publish(item.channel, envelope.to_payload());
        queue_.pop();
    }
}

void Bridge::on_room() { flush(); }

void Bridge::on_answer(Reply&& reply) {
    relay_->on_answer(std::move(reply));
    link_.flush();
}

void Bridge::on_published(bool accepted) {
    if (accepted) {
        counts_.published.fetch_add(1);
    } else {
        count_dropped(1);
    }
}

// --- the broker comes and goes -------------------------------------------------------------------

void Bridge::on_up() {
    counts_.connected.store(1);
    const bool again = counts_.connects.fetch_add(1) != 0;
    alive_ = reactor_.elapsed();
    subscriptions_.for_each([this](const std::string& channel) { link_.subscribe(channel); });
    beat();
    heartbeat_timer_.start(options_.heartbeat);
    if (relay_) {
        relay_->on_up();
    }
    flush();
    if (again) {
        raise_gap("the connection to the broker is new");
    }
}

void Bridge::on_down(std::size_t unconfirmed) {
    counts_.connected.store(0);
    heartbeat_timer_.stop();
    count_dropped(unconfirmed);
    if (relay_) {
        relay_->on_down();
    }
}

/// Others learn what was lost here, and whether there is a way through the broker is seen by whether it comes back.
void Bridge::beat() {
    if (!link_.is_up()) {
        return;
    }
    if (reactor_.elapsed() - alive_ >= options_.silence) {
        link_.drop("what is published there does not come back");
        return;
    }
    const std::string message = Heartbeat{dropped_}.to_message();
    const Envelope envelope{.type = Envelope::Type::heartbeat,
                            .host = options_.host,
                            .sequence = 1,
                            .fields = {},
                            .message = message};
    beat_at_ = std::chrono::steady_clock::now();
    link_.publish(hosts_channel_, envelope.to_payload());
    link_.ask_role();
    link_.flush();
}

void Bridge::tidy() {
    count_dropped(queue_.expire(reactor_.elapsed()));
    for (const std::string& channel :
         subscriptions_.take_unwanted(reactor_.elapsed() - options_.unsubscribe_after)) {
        if (link_.is_up()) {
            link_.unsubscribe(channel);
        }
    }
    forget_silent_hosts();
    flush();
    const std::uint64_t dropped = dropped_;
    if (dropped != drops_said_ && drop_line_.permit()) {
        log_.print(base::LogLevel::warning,
                   "WS0603: %" PRIu64 " published messages (%" PRIu64
                   " so far) did not reach other hosts: the broker did not take them in time, or "
                   "not at all",
                   dropped - drops_said_, dropped);
        drops_said_ = dropped;
    }
}

void Bridge::forget_silent_hosts() {
    const milliseconds now = reactor_.elapsed();
    std::erase_if(others_, [&](const auto& other) {
        return now - other.second.seen > kMissed * options_.heartbeat;
    });
}

void Bridge::raise_gap(const char* why) {
    const std::uint64_t gaps = counts_.gaps.fetch_add(1) + 1;
    if (gap_line_.permit()) {
        log_.print(base::LogLevel::warning,
                   "WS0604: messages of other hosts may be missing: %s (%" PRIu64
                   " times since the last such line)",
                   why, gaps - std::min(gaps_said_, gaps - 1));
        gaps_said_ = gaps;
    }
}

// --- from the broker -----------------------------------------------------------------------------

void Bridge::on_message(const std::string& channel, std::string_view payload) {
    const std::optional<Envelope> envelope = Envelope::of_payload(payload);
    if (channel == hosts_channel_) {
        if (envelope && envelope->type == Envelope::Type::heartbeat) {
            on_heartbeat(*envelope);
        } else {
            refuse(channel);
        }
        return;
    }
    if (relay_ && channel == relay_->channel()) {
        if (!relay_->on_record(payload)) {
            refuse(channel);
        }
        link_.flush();
        return;
    }
    Subscriptions::Channel* known = subscriptions_.find(channel);
    if (known == nullptr || (envelope && envelope->host == options_.host)) {
        return;
    }
    if (!envelope || envelope->type == Envelope::Type::heartbeat ||
        envelope->message.size() + protocol::kMaxUnmaskedHeader >= engine::Gate::kMaxQueued) {
        refuse(channel);
        return;
    }
    deliver(*known, *envelope);
}

void Bridge::deliver(Subscriptions::Channel& channel, const Envelope& envelope) {
    counts_.received.fetch_add(1);
    if (envelope.host != 0 &&
        channel.sequences.missing_before(envelope.host, envelope.sequence) != 0) {
        raise_gap("another host has published more than came here");
    }
    const auto key = hub::TopicKey::parse(channel.key, options_.hash_key);
    try {
        const SharedFrame frame =
            SharedFrame::build(envelope.type == Envelope::Type::text ? protocol::Opcode::text
                                                                     : protocol::Opcode::binary,
                               engine::text_bytes(envelope.message));
        engine::set_event_fields(frame, envelope.fields);
        if (key && bus_.publish(*key, frame) == hub::BusResult::ok) {
            return;
        }
    } catch (const std::bad_alloc&) {
    }
    raise_gap("too much waits within this host");
}

void Bridge::on_heartbeat(const Envelope& envelope) {
    const milliseconds now = reactor_.elapsed();
    if (envelope.host == options_.host) {
        alive_ = now;
        const auto way = std::chrono::steady_clock::now() - beat_at_;
        counts_.round_trip_us.store(static_cast<std::uint64_t>(
            std::chrono::duration_cast<std::chrono::microseconds>(way).count()));
        return;
    }
    const auto heartbeat = Heartbeat::of_message(envelope.message);
    if (!heartbeat) {
        refuse(hosts_channel_);
        return;
    }
    if (others_.size() >= kMostOthers && !others_.contains(envelope.host)) {
        return;
    }
    const auto [other, is_new] = others_.try_emplace(envelope.host, Other{heartbeat->dropped, now});
    if (!is_new && heartbeat->dropped > other->second.dropped) {
        raise_gap("another host could not publish all");
    }
    other->second = {heartbeat->dropped, now};
}

void Bridge::refuse(const std::string& channel) noexcept {
    counts_.refused.fetch_add(1);
    if (refused_line_.permit()) {
        std::string shown;
        try {
            for (const char c : channel.substr(0, 200)) {
                shown += c >= 0x20 && c < 0x7F ? c : '?';
            }
        } catch (const std::bad_alloc&) {
        }
        log_.print(base::LogLevel::warning,
                   "WS0605: a message on the channel \"%s\" was not understood, and is lost: it "
                   "begins with a NUL, but "
                   "is not of this version of websocket-bridge, or it is too large",
                   shown.c_str());
    }
}

}  // namespace websocket::bridge
