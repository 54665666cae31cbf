// SPDX-License-Identifier: Apache-2.0
#include "bridge/reconnection.hpp"

#include <random>
#include <utility>

namespace websocket::bridge {

using std::chrono::milliseconds;

namespace {

/// After this, a connection was good, and the next pause is short again.
constexpr milliseconds kHeld{5000};
/// Until the same reason is said again.
constexpr milliseconds kSayAgain{60'000};

jsonrpc::ReconnectionOptions pauses(const BrokerLinkOptions& options) {
    jsonrpc::ReconnectionOptions pauses;
    pauses.max_retries.reset();
    pauses.min_delay = options.first_pause;
    pauses.max_delay = options.longest_pause;
    pauses.factor = 2;
    pauses.jitter = 0.5;  // hosts that lost the same broker do not all come back at once
    return pauses;
}

double chance() {
    static std::minstd_rand random{std::random_device{}()};
    return std::uniform_real_distribution<double>(0, 1)(random);
}

}  // namespace

Reconnection::Reconnection(net::Reactor& reactor, const BrokerLinkOptions& options, base::Log& log,
                           std::function<void()> again)
    : reactor_(reactor), options_(options), log_(log), backoff_(pauses(options)),
      pause_(reactor, std::move(again)) {}

void Reconnection::note_up(const std::string& where) {
    up_since_ = reactor_.elapsed();
    last_said_.clear();
    log_.print(base::LogLevel::info, "WS0601: topics are carried by %s at %s",
               options_.url.describe().c_str(), where.c_str());
}

void Reconnection::pause(bool was_up, const std::string& why) {
    if (was_up && reactor_.elapsed() - up_since_ >= kHeld) {
        backoff_.reset();
    }
    pause_.start(backoff_.next(chance()).value_or(options_.longest_pause));
    say_why(why);
}

void Reconnection::say_why(const std::string& why) {
    const milliseconds now = reactor_.elapsed();
    if (why == last_said_ && now - last_said_at_ < kSayAgain) {
        return;
    }
    last_said_ = why;
    last_said_at_ = now;
    log_.print(base::LogLevel::warning,
               "WS0602: the broker %s cannot be used: %s; it is tried again and again, topics stay "
               "within this host "
               "meanwhile",
               options_.url.describe().c_str(), why.c_str());
}

}  // namespace websocket::bridge
