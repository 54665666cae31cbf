// SPDX-License-Identifier: Apache-2.0
#include "bridge/bridge.hpp"

#include <algorithm>
#include <cinttypes>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bridge/broker_kinds.hpp"
#include "bridge/channel.hpp"
#include "bridge/printable.hpp"
#include "engine/event_form.hpp"
#include "engine/gate.hpp"
#include "hub/watch_scope.hpp"
#include "protocol/frame.hpp"

namespace websocket::bridge {

using engine::SharedFrame;
using std::chrono::milliseconds;

namespace {

/// What is around a message that comes: its head, its channel.
constexpr std::size_t kAround = 128U << 10;
constexpr milliseconds kTidy{1000};
/// Who comes and goes in the meantime is looked at once.
constexpr milliseconds kPresencePause{20};
/// Other bridges that are remembered.
constexpr std::size_t kMostOthers = 4096;
/// Heartbeats that are missed before another bridge is forgotten.
constexpr int kMissed = 12;

BrokerLinkOptions link_options(const BridgeOptions& options) {
    std::vector<std::string> channels{hosts_channel(options.prefix)};
    if (options.history != nullptr) {
        channels.push_back(history_channel(options.prefix));
    }
    return {.url = options.url,
            .tls = options.tls,
            .trust = options.trust,
            .most_waiting = options.buffer,
            .first_channels = std::move(channels),
            .longest_message = engine::Gate::kMaxQueued + kAround,
            .patience = options.patience,
            .first_pause = options.first_pause};
}

std::string_view text_of(std::span<const std::uint8_t> bytes) noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

const char* words_of(hub::GapReason why) noexcept {
    switch (why) {
        case hub::GapReason::reconnected: return "the connection to the broker is new";
        case hub::GapReason::hole: return "another host has published more than came here";
        case hub::GapReason::host_dropped: return "another host could not publish all";
        case hub::GapReason::busy: break;
    }
    return "too much waits within this host";
}

/// Of a TopicKey::bytes().
bool is_watch(std::string_view key) noexcept { return hub::is_watch_scope(key.substr(1)); }

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
      marker_channel_(hosts_channel_ + '-' + std::to_string(options.host)),
      presence_channel_(presence_channel(options.prefix)),
      link_(make_broker_link(reactor, link_options(options), *this, log)),
      queue_(options.buffer, options.longest_wait),
      // of a bridge before this one, what was on its way to it or from there
      uncertain_(counts.connects.load() != 0 ? 1 : 0),
      heartbeat_timer_(reactor,
                       [this] {
                           heartbeat_timer_.start(options_.heartbeat);
                           guarded([this] { beat(); })();
                       }),
      tidy_timer_(reactor,
                  [this] {
                      tidy_timer_.start(kTidy);
                      guarded([this] { tidy(); })();
                  }),
      presence_timer_(reactor, guarded([this] {
                          presence_->flush(reactor_.elapsed());
                          link_->flush();
                      })) {
    if (options_.presence) {
        presence_.emplace(*options_.presence,
                          PresenceOptions{.bridge = options_.host,
                                          .hash_key = options_.hash_key,
                                          .heartbeat = options_.heartbeat,
                                          .silence = options_.silence},
                          static_cast<PresenceExchange::Wire&>(*this), bus_, log_);
    }
    if (options_.history != nullptr) {
        relay_.emplace(reactor_,
                       HistoryRelayOptions{.prefix = options_.prefix,
                                           .host = options_.httpd,
                                           .next_number = options_.next_number,
                                           .has_all_until = options_.has_all_until,
                                           .hash_key = options_.hash_key,
                                           .buffer = options_.buffer,
                                           .longest_wait = options_.longest_wait,
                                           .stall = options_.stall},
                       *options_.history, *link_, bus_, counts_, log_);
    }
    counts_.connected.store(0);
    counts_.queued_bytes.store(0);
    counts_.subscriptions.store(0);
    tidy_timer_.start(kTidy);
}

// --- from this host ------------------------------------------------------------------------------

void Bridge::publish(std::string_view key, const SharedFrame& frame) {
    if (note_watch(key) || (relay_ && relay_->keeps(key) && relay_->publish(key, frame))) {
        return;
    }
    std::string channel = channel_of(options_.url.kind, options_.prefix, key);
    // It counts also if it is dropped: that is how others see it.
    const std::uint64_t sequence = sequences_.next(channel);
    count_dropped(queue_.push({std::move(channel), sequence, frame, reactor_.elapsed()}));
}

/// What tells of who is present is not published: other hosts get the members, and tell it themselves.
bool Bridge::note_watch(std::string_view key) {
    if (!is_watch(key)) {
        return false;
    }
    const auto watch = hub::TopicKey::parse(key, options_.hash_key);
    const auto topic = watch ? hub::watched_topic(*watch, options_.hash_key) : std::nullopt;
    if (presence_ && topic) {
        presence_->note_change(topic->bytes());
        if (!presence_timer_.running()) {
            presence_timer_.start(kPresencePause);
        }
    }
    return true;
}

void Bridge::send_presence(std::string_view payload) { link_->publish(presence_channel_, payload); }

void Bridge::say_goodbye() {
    if (presence_ && link_->is_up()) {
        presence_->say_goodbye();
        link_->flush();
    }
}

void Bridge::count_dropped(std::size_t messages) noexcept {
    if (messages != 0) {
        dropped_ += messages;
        counts_.dropped.fetch_add(messages);
    }
}

/// What has a history would have come to the processes of this host from here; all else they have got.
void Bridge::tell_lost(std::string_view key) noexcept {
    if (relay_ && (key == hub::kAllTopics || relay_->keeps(key))) {
        bus_.tell_gap(key, hub::GapReason::busy);
    }
}

void Bridge::set_interest(std::uint64_t link, std::string_view key, bool wanted) {
    if (is_watch(key)) {
        return;
    }
    const std::string channel = channel_of(options_.url.kind, options_.prefix, key);
    if (!wanted) {
        subscriptions_.unwant(link, channel, reactor_.elapsed());
    } else if (subscriptions_.want(link, channel, key) && link_->is_up()) {
        link_->subscribe(channel);
    }
}

void Bridge::drop_link(std::uint64_t link) { subscriptions_.drop_link(link, reactor_.elapsed()); }

void Bridge::flush() {
    feed();
    if (relay_) {
        relay_->feed();
        count_dropped(relay_->take_dropped());
    }
    link_->flush();
    counts_.queued_bytes.store(queue_.bytes() + (relay_ ? relay_->queued_bytes() : 0));
    counts_.subscriptions.store(subscriptions_.size());
}

void Bridge::feed() {
    while (!queue_.empty() && link_->has_room()) {
        const OutgoingQueue::Item& item = queue_.front();
        const bool text = item.frame.opcode() == protocol::Opcode::text;
        const Envelope envelope{.type = text ? Envelope::Type::text : Envelope::Type::binary,
                                .host = options_.host,
                                .sequence = item.sequence,
                                .fields = engine::event_fields_of(item.frame),
                                .message = text_of(item.frame.payload())};
        link_->publish(item.channel, envelope.to_payload());
        queue_.pop();
    }
}

void Bridge::on_room() {
    if (presence_) {
        presence_->flush(reactor_.elapsed());
    }
    flush();
}

void Bridge::on_missed() { raise_gap(hub::kAllTopics, hub::GapReason::busy); }

void Bridge::on_answer(Reply&& reply) {
    relay_->on_answer(std::move(reply));
    link_->flush();
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
    subscriptions_.for_each([this](const std::string& channel) { link_->subscribe(channel); });
    beat();
    heartbeat_timer_.start(options_.heartbeat);
    if (presence_) {
        link_->subscribe(presence_channel_);
        presence_->on_up(reactor_.elapsed());
    }
    if (relay_) {
        relay_->on_up();
    }
    marking_since_.reset();
    if (again) {
        marking_since_ = reactor_.elapsed();
        link_->subscribe(marker_channel_);
        if (was_up_) {
            mark();
        }  // else with tidy(): a bridge that follows another one has to hear first what processes want
    }
    was_up_ = true;
    flush();
}

/// Whoever loads his state anew must not do it before messages come again. A broker carries out what a connection asks for
/// in order, so what comes back on the last channel says that it has subscribed to all. What is published before that is
/// lost: it is tried again with each tidy(). Where the broker does not allow it, nobody waits longer than a heartbeat.
void Bridge::mark() {
    if (reactor_.elapsed() - *marking_since_ > options_.heartbeat) {
        on_marked();
        return;
    }
    const Envelope envelope{.type = Envelope::Type::heartbeat,
                            .host = options_.host,
                            .sequence = 1,
                            .fields = {},
                            .message = {}};
    link_->publish(marker_channel_, envelope.to_payload());
}

void Bridge::on_marked() {
    if (std::exchange(marking_since_, std::nullopt)) {
        link_->unsubscribe(marker_channel_);
        raise_gap(hub::kAllTopics, hub::GapReason::reconnected);
    }
}

void Bridge::on_down(const BrokerLink::Loss& loss) {
    counts_.connected.store(0);
    heartbeat_timer_.stop();
    if (presence_) {
        presence_->on_down();
    }
    count_dropped(loss.unconfirmed);
    if (relay_) {
        relay_->on_down();
    }
    uncertain_ += loss.uncertain ? 1 : 0;
}

/// Others learn what was lost here, and whether there is a way through the broker is seen by whether it comes back.
void Bridge::beat() {
    if (!link_->is_up()) {
        return;
    }
    if (reactor_.elapsed() - alive_ >= options_.silence) {
        link_->drop("what is published there does not come back");
        return;
    }
    const std::string message = Heartbeat{dropped_ + uncertain_}.to_message();
    const Envelope envelope{.type = Envelope::Type::heartbeat,
                            .host = options_.host,
                            .sequence = ++heartbeats_,
                            .fields = {},
                            .message = message};
    beat_at_ = std::chrono::steady_clock::now();
    link_->publish(hosts_channel_, envelope.to_payload());
    link_->ask_role();
    link_->flush();
}

void Bridge::tidy() {
    count_dropped(queue_.expire(reactor_.elapsed()));
    for (const std::string& channel :
         subscriptions_.take_unwanted(reactor_.elapsed() - options_.unsubscribe_after)) {
        if (link_->is_up()) {
            link_->unsubscribe(channel);
        }
    }
    forget_silent_hosts();
    if (marking_since_ && link_->is_up()) {
        mark();
    }
    if (presence_) {
        presence_->tick(reactor_.elapsed());
    }
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

void Bridge::raise_gap(std::string_view key, hub::GapReason why) {
    bus_.tell_gap(key, why);
    const std::uint64_t gaps = counts_.gaps.fetch_add(1) + 1;
    if (gap_line_.permit()) {
        log_.print(base::LogLevel::warning,
                   "WS0604: messages of other hosts may be missing: %s (%" PRIu64
                   " times since the last such line)",
                   words_of(why), gaps - std::min(gaps_said_, gaps - 1));
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
    if (channel == marker_channel_) {
        on_marked();
        return;
    }
    if (presence_ && channel == presence_channel_) {
        if (!envelope || !presence_->on_message(*envelope, reactor_.elapsed())) {
            refuse(channel);
        }
        link_->flush();
        return;
    }
    if (relay_ && channel == relay_->channel()) {
        if (!relay_->on_record(payload)) {
            refuse(channel);
        }
        link_->flush();
        return;
    }
    Subscriptions::Channel* known = subscriptions_.find(channel);
    if (known == nullptr || (envelope && envelope->host == options_.host)) {
        return;
    }
    if (!envelope || envelope->type > Envelope::Type::binary ||
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
        raise_gap(channel.key, hub::GapReason::hole);
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
    raise_gap(channel.key, hub::GapReason::busy);
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
    const Other told{heartbeat->dropped, envelope.sequence, now};
    const auto [known, is_new] = others_.try_emplace(envelope.host, told);
    const Other before = std::exchange(known->second, told);
    // One that began after this one, in place of another: before that, it had dropped nothing.
    const bool begins = is_new && told.heartbeat <= heartbeats_;
    if (told.dropped > (begins ? 0 : before.dropped)) {
        raise_gap(hub::kAllTopics, hub::GapReason::host_dropped);
    }
    // So it is when servers of a cluster have lost each other for a while.
    if (told.heartbeat > before.heartbeat + 1) {
        raise_gap(hub::kAllTopics, hub::GapReason::hole);
    }
}

void Bridge::refuse(const std::string& channel) noexcept {
    counts_.refused.fetch_add(1);
    if (refused_line_.permit()) {
        std::string shown;
        try {
            shown = printable(channel);
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
