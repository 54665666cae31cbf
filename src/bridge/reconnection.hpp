// SPDX-License-Identifier: Apache-2.0
// When a link to a broker tries again, and what it says of that in the log.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "base/log.hpp"
#include "bridge/broker_link.hpp"
#include "client/backoff.hpp"
#include "net/reactor.hpp"
#include "net/timer.hpp"

namespace websocket::bridge {

/// [loop]
class Reconnection {
public:
    /// Calls `again` when it is time. All that is referred to outlives it.
    Reconnection(net::Reactor& reactor, const BrokerLinkOptions& options, base::Log& log,
                 std::function<void()> again);

    /// The link is up: its broker is at `where`.
    void note_up(const std::string& where);
    /// Waits, and then tries again.
    void pause(bool was_up, const std::string& why);
    /// Writes a line, unless it was the last one and that is not long ago.
    void say_why(const std::string& why);

private:
    net::Reactor& reactor_;
    const BrokerLinkOptions& options_;
    base::Log& log_;
    client::Backoff backoff_;
    std::chrono::milliseconds up_since_{0};
    std::string last_said_;
    std::chrono::milliseconds last_said_at_{0};
    net::Timer pause_;
};

}  // namespace websocket::bridge
