// SPDX-License-Identifier: Apache-2.0
// Numbers for what this host publishes, so that others see what is missing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>

namespace websocket::bridge {

/// Counts in each channel by itself. Channels to which nothing was published for long are forgotten: then it begins
/// with 1 again. Not safe for threads.
class Sequences {
public:
    /// Channels of lately, besides as many of before.
    explicit Sequences(std::size_t most = 100'000) noexcept : most_(most) {}

    /// From 1 on. Throws std::bad_alloc.
    [[nodiscard]] std::uint64_t next(const std::string& channel) {
        auto known = recent_.find(channel);
        if (known == recent_.end()) {
            if (recent_.size() >= most_) {
                older_.swap(recent_);
                recent_.clear();
            }
            const auto old = older_.find(channel);
            known = recent_.emplace(channel, old != older_.end() ? old->second : 0).first;
        }
        return ++known->second;
    }

private:
    const std::size_t most_;
    std::unordered_map<std::string, std::uint64_t> recent_;
    std::unordered_map<std::string, std::uint64_t> older_;
};

}  // namespace websocket::bridge
