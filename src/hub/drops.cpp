// SPDX-License-Identifier: Apache-2.0
#include "hub/drops.hpp"

#include <cinttypes>
#include <cstdio>

namespace websocket::hub {

namespace {

/// With the number lost since the last line, and in all.
constexpr std::array<const char*, kLosses> kLines{
    "WS0503: %" PRIu64 " published messages (%" PRIu64
    " so far) did not fit the WebSocketSendBuffer "
    "of a slow subscriber",
    "WS0504: %" PRIu64 " published messages (%" PRIu64 " so far) did not fit the "
    "WebSocketTopicBuffer of a busy event loop",
    "WS0505: %" PRIu64 " published messages (%" PRIu64 " so far) did not fit the "
    "WebSocketTopicBuffer of another child",
    "WS0506: %" PRIu64 " published messages (%" PRIu64 " so far) were lost because memory, "
    "descriptors or threads ran out, or because a child was not reachable",
};

}  // namespace

bool Drops::count(Drop why, std::size_t messages) noexcept {
    if (messages == 0) {
        return false;
    }
    counters_[static_cast<std::size_t>(why)].total.fetch_add(messages, std::memory_order_relaxed);
    if (shown_ != nullptr) {
        shown_->dropped.fetch_add(static_cast<std::int64_t>(messages), std::memory_order_relaxed);
    }
    return report(why);
}

bool Drops::report() noexcept {
    bool remains = false;
    for (std::size_t i = 0; i < kLosses; ++i) {
        remains = report(static_cast<Drop>(i)) || remains;
    }
    return remains;
}

bool Drops::report(Drop why) noexcept {
    Counter& counter = counters_[static_cast<std::size_t>(why)];
    const std::uint64_t total = counter.total.load(std::memory_order_relaxed);
    if (total == counter.reported.load(std::memory_order_relaxed)) {
        return false;
    }
    if (!counter.line.permit()) {
        return true;
    }
    const std::uint64_t before = counter.reported.exchange(total);
    std::array<char, 256> line;
    // NOLINTNEXTLINE(clang-diagnostic-format-nonliteral): from the table above
    std::snprintf(line.data(), line.size(), kLines[static_cast<std::size_t>(why)], total - before,
                  total);
    log_.write(base::LogLevel::warning, line.data());
    return false;
}

}  // namespace websocket::hub
