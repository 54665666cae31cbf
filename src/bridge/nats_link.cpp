// SPDX-License-Identifier: Apache-2.0
#include "bridge/nats_link.hpp"

#include <cerrno>
#include <cstdlib>
#include <system_error>
#include <utility>

#include "bridge/printable.hpp"

namespace websocket::bridge {

using std::chrono::milliseconds;

namespace {

/// From here on, no more should be sent until on_room(): what one server answers at once.
constexpr std::size_t kEnough = 1U << 20;
/// Until a server has passed on what it has confirmed, or another one of its cluster has cut it off.
constexpr milliseconds kSettled{15'000};
/// Of connecting: in this time the library gives up by itself, unless it waits for what has no limit there.
constexpr int kTimesPatience = 2;
/// Threads that wait for that, until a process without them is better.
constexpr std::size_t kMostAbandoned = 4;

}  // namespace

NatsLink::NatsLink(net::Reactor& reactor, BrokerLinkOptions options, Owner& owner, base::Log& log)
    : reactor_(reactor), options_(std::move(options)), owner_(owner), log_(log),
      events_(NatsEvents::make(options_.most_waiting)),
      reconnection_(reactor, options_, log, [this] { connect(); }),
      patience_(reactor, [this] { abandon_worker(); }),
      worker_(std::make_unique<NatsWorker>(options_, events_)) {
    // The reactor tells once what is never read.
    if (!reactor_.add(events_.descriptor(), *this, EPOLLIN | EPOLLET)) {
        throw std::system_error(errno, std::generic_category(), "epoll_ctl");
    }
}

NatsLink::~NatsLink() {
    constexpr std::chrono::seconds kFarewell{5};
    const auto limit = std::chrono::steady_clock::now() + kFarewell;
    for (const auto& worker : abandoned_) {
        worker->finish(limit);
    }
    worker_->finish(limit);
    reactor_.remove(events_.descriptor(), *this);
    events_.close();
}

void NatsLink::connect() {
    phase_ = Phase::connecting;
    patience_.start(options_.patience * kTimesPatience *
                    static_cast<int>(options_.url.hosts.size()));
    worker_->connect(++connection_);
}

void NatsLink::drop(const std::string& why) {
    if (phase_ == Phase::pausing) {
        return;
    }
    const bool was_up = phase_ == Phase::up;
    phase_ = Phase::pausing;
    worker_->connect(0);
    patience_.stop();
    commands_.clear();
    waiting_ = 0;
    reconnection_.pause(was_up, why);
    const bool uncertain = published_at_.count() != 0 &&
                           reactor_.elapsed() - std::exchange(published_at_, {}) < kSettled;
    const std::size_t unconfirmed = std::exchange(unconfirmed_, 0);
    if (was_up) {
        owner_.on_down({.unconfirmed = unconfirmed, .uncertain = uncertain});
    }
}

/// A name that is looked up, or a handshake of TLS, may hold its thread up for as long as it likes. The process that
/// httpd starts instead of this one has no such threads.
void NatsLink::abandon_worker() {
    drop("it does not answer");
    std::erase_if(abandoned_, [](const auto& worker) { return worker->ended(); });
    if (abandoned_.size() >= kMostAbandoned) {
        log_.print(base::LogLevel::error,
                   "WS0608: the bridge to other hosts ends: %zu threads wait for the broker",
                   abandoned_.size());
        std::_Exit(EXIT_FAILURE);
    }
    worker_->stop();
    abandoned_.push_back(std::move(worker_));
    worker_ = std::make_unique<NatsWorker>(options_, events_);
}

// --- commands ------------------------------------------------------------------------------------

void NatsLink::post(NatsWorker::Command::Type type, std::string_view subject,
                    std::string_view payload) {
    commands_.push_back({type, std::string(subject), std::string(payload)});
    waiting_ += commands_.back().bytes();
}

void NatsLink::publish(std::string_view channel, std::string_view payload) {
    if (payload.size() > max_payload_) {
        note_too_large(channel, payload.size());
        owner_.on_published(false);
        return;
    }
    post(NatsWorker::Command::Type::publish, channel, payload);
    ++unconfirmed_;
    if (channel != options_.first_channels.front()) {
        published_at_ = reactor_.elapsed();
    }
}

void NatsLink::subscribe(std::string_view channel) {
    post(NatsWorker::Command::Type::subscribe, channel, {});
}

void NatsLink::unsubscribe(std::string_view channel) {
    post(NatsWorker::Command::Type::unsubscribe, channel, {});
}

void NatsLink::flush() {
    if (phase_ == Phase::up && !commands_.empty()) {
        worker_->post(commands_);
    }
}

bool NatsLink::has_room() const noexcept { return phase_ == Phase::up && waiting_ < kEnough; }

bool NatsLink::is_idle() const noexcept { return phase_ != Phase::up || waiting_ == 0; }

// --- events --------------------------------------------------------------------------------------

void NatsLink::on_ready(std::uint32_t /*events*/) {
    take_events();
    take_messages();
    if (events_.take_missed() && phase_ == Phase::up) {
        owner_.on_missed();
    }
}

void NatsLink::take_events() {
    if (events_.take_lost()) {
        drop("memory ran out");
    }
    events_.take(event_batch_);
    for (const NatsEvent& event : event_batch_) {
        if (event.connection == connection_ && phase_ != Phase::pausing) {
            on_event(event);
        }
    }
    event_batch_.clear();
}

void NatsLink::take_messages() {
    events_.take(message_batch_);
    for (const NatsMessage& message : message_batch_) {
        owner_.on_message(::natsMsg_GetSubject(message.get()),
                          {::natsMsg_GetData(message.get()),
                           static_cast<std::size_t>(::natsMsg_GetDataLength(message.get()))});
    }
    message_batch_.clear();
}

void NatsLink::on_event(const NatsEvent& event) {
    switch (event.type) {
        case NatsEvent::Type::up:
            phase_ = Phase::up;
            max_payload_ = event.most;
            patience_.stop();
            reconnection_.note_up(event.text);
            owner_.on_up();
            break;
        case NatsEvent::Type::confirmed: on_confirmed(event); break;
        case NatsEvent::Type::denied: note_denied(event); break;
        case NatsEvent::Type::ended: drop(event.text); break;
    }
}

void NatsLink::on_confirmed(const NatsEvent& event) {
    unconfirmed_ -= event.count + event.refused;
    waiting_ -= event.bytes;
    for (std::size_t i = 0; i < event.count + event.refused; ++i) {
        owner_.on_published(i < event.count);
    }
    if (has_room()) {
        owner_.on_room();
    }
}

void NatsLink::note_denied(const NatsEvent& event) {
    if (denied_line_.permit()) {
        log_.print(base::LogLevel::warning,
                   "WS0631: the broker %s does not let this user do what topics need: %s",
                   options_.url.describe().c_str(), printable(event.text).c_str());
    }
}

void NatsLink::note_too_large(std::string_view subject, std::size_t size) {
    if (too_large_line_.permit()) {
        log_.print(base::LogLevel::warning,
                   "WS0630: a message of %zu bytes on the subject \"%s\" does not reach other "
                   "hosts: with what is around it, the server takes %zu at most (max_payload)",
                   size, printable(subject).c_str(), max_payload_);
    }
}

}  // namespace websocket::bridge
