// SPDX-License-Identifier: Apache-2.0
// When the next try is.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>

#include "websocket/jsonrpc/client_configuration.hpp"

namespace websocket::client {

/// Counts tries. [loop]
class Backoff {
public:
    explicit Backoff(const jsonrpc::ReconnectionOptions& options) noexcept : options_(options) {}

    /// How long to wait; nothing if there have been enough. `chance` is from 0 to 1.
    [[nodiscard]] std::optional<std::chrono::milliseconds> next(double chance) noexcept {
        if (options_.max_retries && tries_ >= *options_.max_retries) {
            return {};
        }
        constexpr unsigned kEnough =
            100;  // tries, after which the largest window is reached for sure
        const auto longest = static_cast<double>(options_.max_delay.count());
        const double window =
            std::min(longest, static_cast<double>(options_.min_delay.count()) *
                                  std::pow(options_.factor, std::min(tries_, kEnough)));
        ++tries_;
        return std::chrono::milliseconds(std::llround(window * (1 - options_.jitter * chance)));
    }
    /// A connection has held.
    void reset() noexcept { tries_ = 0; }

private:
    const jsonrpc::ReconnectionOptions options_;
    unsigned tries_ = 0;
};

}  // namespace websocket::client
