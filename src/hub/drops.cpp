// SPDX-License-Identifier: Apache-2.0
#include "hub/drops.hpp"

#include <cinttypes>

namespace websocket::hub {

namespace {

struct Line {
    const char* id;                            ///< with a colon
    const char* middle;                        ///< behind the numbers
    const char* LimitNames::*limit = nullptr;  ///< what comes next; null: nothing does
    const char* end = "";
};

constexpr std::array<Line, kLosses> kLines{
    Line{"WS0503:", "did not fit the ", &LimitNames::send_buffer, " of a slow subscriber"},
    Line{"WS0504:", "did not fit the ", &LimitNames::topic_buffer, " of a busy event loop"},
    Line{"WS0505:", "did not fit the ", &LimitNames::topic_buffer, " of another child"},
    Line{"WS0506:",
         "were lost because memory, descriptors or threads ran out, or because a child was not "
         "reachable"},
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
    const Line& line = kLines[static_cast<std::size_t>(why)];
    log_.print(base::LogLevel::warning,
               "%s %" PRIu64 " published messages (%" PRIu64 " so far) %s%s%s", line.id,
               total - before, total, line.middle, line.limit != nullptr ? names_.*line.limit : "",
               line.end);
    return false;
}

}  // namespace websocket::hub
