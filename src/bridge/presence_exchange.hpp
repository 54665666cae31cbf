// SPDX-License-Identifier: Apache-2.0
// Tells other hosts who is present in this one, and this one who is present in the others.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/log.hpp"
#include "base/log_throttle.hpp"
#include "bridge/envelope.hpp"
#include "bridge/presence_local.hpp"
#include "bridge/presence_message.hpp"
#include "bridge/presence_remote.hpp"
#include "hub/bus.hpp"

namespace websocket::bridge {

struct PresenceOptions {
    std::uint64_t bridge = 0;  ///< see Envelope::host
    base::HashKey hash_key{};  ///< of TopicKey
    std::chrono::milliseconds heartbeat{5000};
    std::chrono::milliseconds silence{15'000};  ///< of a host that is no more
};

/// Nothing is kept by the broker. Who comes asks all hosts to say that they are there, and each host of which something is
/// not known for all of its state. [loop]
class PresenceExchange {
public:
    /// Where messages go, which come to all bridges, also to this one, or to none, in order.
    class Wire {
    public:
        virtual ~Wire() = default;
        [[nodiscard]] virtual bool has_room() const noexcept = 0;
        virtual void send_presence(std::string_view payload) = 0;
    };

    /// All outlive it. `bus` goes to the processes of this host.
    PresenceExchange(const hub::PresenceStore& store, const PresenceOptions& options, Wire& wire,
                     hub::Bus& bus, base::Log& log);

    // All of these may throw std::bad_alloc.
    /// There is a way to the broker, whose first message gets to others.
    void on_up(std::chrono::milliseconds now);
    void on_down() noexcept { up_ = false; }
    /// False when it was not understood.
    [[nodiscard]] bool on_message(const Envelope& envelope, std::chrono::milliseconds now);
    /// Processes of this host tell that who is present in a topic has changed, by its hub::TopicKey::bytes(). To be followed
    /// by flush() soon; until then, the same topic costs nothing.
    void note_change(std::string_view key) { changed_.insert(std::string(key)); }
    /// Sends what there is, as long as there is room.
    void flush(std::chrono::milliseconds now);
    /// To be called once a second or so.
    void tick(std::chrono::milliseconds now);
    /// This host ends, with all processes.
    void say_goodbye();

    [[nodiscard]] std::size_t hosts() const noexcept { return remotes_.size(); }

private:
    using Remotes = std::unordered_map<std::uint64_t, std::unique_ptr<RemotePresence>>;

    void hear(const Envelope& envelope, const PresenceMessage& message,
              std::chrono::milliseconds now);
    void end(Remotes::iterator remote);
    void end_silent(std::chrono::milliseconds now);
    void ask(std::chrono::milliseconds now);
    void send(const PresenceMessage& message) { send(message.to_message()); }
    void send(const std::string& message);
    void send_alive(std::chrono::milliseconds now);
    void take(const RemotePresence::Outcome& outcome);
    void tell_watchers(std::string_view key);

    const hub::PresenceStore store_;
    const PresenceOptions options_;
    Wire& wire_;
    hub::Bus& bus_;
    base::Log& log_;
    LocalPresence local_;
    Remotes remotes_;
    std::set<std::string> changed_;
    bool up_ = false;
    bool all_asked_ = false;     ///< and the way back was there
    bool alive_wanted_ = false;  ///< somebody wants to know
    std::chrono::milliseconds alive_at_{0};
    base::LogThrottle full_line_;
    base::LogThrottle many_line_;
};

}  // namespace websocket::bridge
