// SPDX-License-Identifier: Apache-2.0
#include "bridge/presence_exchange.hpp"

#include <iterator>
#include <utility>

#include "engine/shared_frame.hpp"
#include "hub/watch_scope.hpp"
#include "protocol/frame.hpp"

namespace websocket::bridge {

using engine::SharedFrame;
using hub::TopicKey;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using Kind = PresenceMessage::Kind;

PresenceExchange::PresenceExchange(const hub::PresenceStore& store, const PresenceOptions& options,
                                   Wire& wire, hub::Bus& bus, base::Log& log)
    : store_(store), options_(options), wire_(wire), bus_(bus), log_(log),
      local_(store, options.hash_key) {}

// --- what this host tells ------------------------------------------------------------------------

void PresenceExchange::on_up(milliseconds now) {
    up_ = true;
    all_asked_ = false;
    local_.look_around(now);
    send({.kind = Kind::ask, .host = store_.host()});
    send_alive(now);
}

void PresenceExchange::send(const std::string& message) {
    const Envelope envelope{.type = Envelope::Type::presence,
                            .host = options_.bridge,
                            .sequence = local_.sequence(),
                            .fields = {},
                            .message = message};
    wire_.send_presence(envelope.to_payload());
}

void PresenceExchange::send_alive(milliseconds now) {
    alive_wanted_ = false;
    alive_at_ = now;
    send({.kind = Kind::alive, .host = store_.host()});
}

void PresenceExchange::say_goodbye() {
    if (up_) {
        send({.kind = Kind::goodbye, .host = store_.host()});
    }
}

void PresenceExchange::flush(milliseconds now) {
    for (const std::string& key : std::exchange(changed_, {})) {
        local_.look_at(key);
    }
    if (!up_) {
        local_.skip();
        return;
    }
    while (wire_.has_room()) {
        const auto message = local_.next(now);
        if (!message) {
            break;
        }
        send(*message);
    }
    if (alive_wanted_) {
        send_alive(now);
    }
    ask(now);
}

void PresenceExchange::tick(milliseconds now) {
    local_.look_around(now);
    end_silent(now);
    store_.end_overdue_hosts(steady_clock::now());
    if (up_ && !all_asked_) {
        send({.kind = Kind::ask, .host = store_.host()});
    }
    if (now - alive_at_ >= options_.heartbeat) {
        alive_wanted_ = true;
    }
    flush(now);
}

void PresenceExchange::ask(milliseconds now) {
    for (const auto& [host, remote] : remotes_) {
        if (remote->is_time_to_ask(now)) {
            send({.kind = Kind::ask, .host = store_.host(), .asked = host});
        }
    }
}

// --- what it is told -----------------------------------------------------------------------------

bool PresenceExchange::on_message(const Envelope& envelope, milliseconds now) {
    const auto message = envelope.type == Envelope::Type::presence
                             ? PresenceMessage::of_message(envelope.message)
                             : std::nullopt;
    if (!message) {
        return false;
    }
    if (message->host == store_.host()) {
        // From this bridge, or from the one before. What comes back shows that answers come, too.
        all_asked_ = all_asked_ || (envelope.host == options_.bridge && message->kind == Kind::ask);
        return true;
    }
    if (message->kind == Kind::ask && message->asked == store_.host()) {
        local_.want_state();
    } else if (message->kind == Kind::ask && message->asked == 0) {
        alive_wanted_ = true;
    }
    hear(envelope, *message, now);
    flush(now);
    return true;
}

void PresenceExchange::hear(const Envelope& envelope, const PresenceMessage& message,
                            milliseconds now) {
    auto known = remotes_.find(message.host);
    if (message.kind == Kind::goodbye) {
        if (known != remotes_.end() && known->second->bridge() == envelope.host) {
            end(known);
        }
        return;
    }
    if (known == remotes_.end()) {
        if (remotes_.size() < hub::HostLeases::kMost) {
            known = remotes_
                        .emplace(message.host, std::make_unique<RemotePresence>(
                                                   store_, options_.hash_key, message.host))
                        .first;
        }
    }
    if (known == remotes_.end() || !known->second->renew(steady_clock::now() + options_.silence)) {
        if (many_line_.permit()) {
            log_.print(base::LogLevel::warning,
                       "WS0651: there are more than %u other hosts: who is present in the rest of "
                       "them is not seen here",
                       hub::HostLeases::kMost);
        }
        if (known != remotes_.end()) {
            remotes_.erase(known);
        }
        return;
    }
    RemotePresence::Outcome outcome;
    known->second->hear(envelope.host, envelope.sequence, message, now, outcome);
    take(outcome);
}

void PresenceExchange::end(Remotes::iterator remote) {
    RemotePresence::Outcome outcome;
    remote->second->end(outcome);
    remotes_.erase(remote);
    take(outcome);
}

void PresenceExchange::end_silent(milliseconds now) {
    for (auto remote = remotes_.begin(); remote != remotes_.end();) {
        const auto next = std::next(remote);
        if (now - remote->second->heard() >= options_.silence) {
            end(remote);
        }
        remote = next;
    }
}

void PresenceExchange::take(const RemotePresence::Outcome& outcome) {
    for (const std::string& key : outcome.topics) {
        tell_watchers(key);
    }
    if (outcome.full && full_line_.permit()) {
        log_.print(base::LogLevel::error,
                   "WS0650: not all members of other hosts are seen here: WebSocketPresenceMemory "
                   "is full");
    }
}

/// They look. If that gets lost, they find it themselves within a second or so.
void PresenceExchange::tell_watchers(std::string_view key) {
    const auto topic = TopicKey::parse(key, options_.hash_key);
    const auto watch =
        topic ? TopicKey::make(hub::watch_scope(topic->scope()), topic->name(), options_.hash_key)
              : std::nullopt;
    if (watch) {
        static_cast<void>(bus_.publish(*watch, SharedFrame::build(protocol::Opcode::binary, {})));
    }
}

}  // namespace websocket::bridge
