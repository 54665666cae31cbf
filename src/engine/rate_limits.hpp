// SPDX-License-Identifier: Apache-2.0
// What a peer may send in a second, and what one connection has used of it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/token_bucket.hpp"
#include "net/reactor.hpp"

namespace websocket::engine {

class Channel;

/// What happens to a peer that sends more.
enum class RatePolicy : std::uint8_t {
    slow,   ///< its socket is not read until the rate is kept again; TCP slows the peer down
    close,  ///< the connection is closed with 1008
};

/// Of one location. A rate of 0 is none.
struct RateLimits {
    std::uint64_t messages = 0;        ///< data frames a second: a message of n frames counts n
    std::uint64_t bytes = 0;           ///< a second, all frames with their headers
    std::uint64_t control_frames = 0;  ///< Pings and Pongs a second; more always close
    /// A peer that was quiet may send what it may send in this time at once.
    std::chrono::milliseconds burst{1'000};
    RatePolicy policy = RatePolicy::slow;

    [[nodiscard]] bool any() const noexcept { return (messages | bytes | control_frames) != 0; }
    bool operator==(const RateLimits&) const = default;
};

/// Of one connection whose location has a rate. [loop]
struct RateMeter {
    /// Ends a pause. A timer of its own, because Pings and closing go on meanwhile.
    struct PauseEnd final : net::EventHandler {
        void on_time() noexcept override;

        Channel* channel = nullptr;
    };

    base::TokenBucket messages;
    base::TokenBucket bytes;
    base::TokenBucket control_frames;
    PauseEnd pause_end;
};

}  // namespace websocket::engine
