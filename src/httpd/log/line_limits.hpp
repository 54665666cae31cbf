// SPDX-License-Identifier: Apache-2.0
// Which lines of the error log a client can cause, and how many of them are written.
#pragma once

#include <httpd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/log_throttle.hpp"

namespace websocket::httpd {

/// The numbers in the ids of such lines. test/e2e/test_docs.py has all others, each with the reason
/// why it is not limited, and fails when an id is in neither place.
inline constexpr std::array<std::uint16_t, 38> kLimitedLines{
    101, 102, 103, 104, 105, 106, 107, 116, 120, 121, 122, 124, 130, 135, 137, 153, 301, 302, 303,
    305, 311, 401, 402, 403, 404, 405, 406, 411, 412, 413, 415, 416, 502, 507, 508, 510, 511, 514,
};

/// 104 of "WS0104: ..."; 0 when it does not begin so.
[[nodiscard]] constexpr std::uint16_t line_number(std::string_view line) noexcept {
    constexpr std::string_view kPrefix = "WS";
    constexpr std::size_t kDigits = 4;
    if (!line.starts_with(kPrefix) || line.size() < kPrefix.size() + kDigits) {
        return 0;
    }
    unsigned number = 0;
    for (const char digit : line.substr(kPrefix.size(), kDigits)) {
        if (digit < '0' || digit > '9') {
            return 0;
        }
        number = number * 10 + static_cast<unsigned>(digit - '0');
    }
    return static_cast<std::uint16_t>(number);
}

/// Of one process. Of each id, kBurst lines may follow each other, then one a second.
class LineLimits {
public:
    static constexpr unsigned kBurst = 10;
    using Clock = base::LogThrottle::Clock;

    /// Lines of one id that were left out, and where they would have gone.
    struct LeftOut {
        std::uint16_t number;
        std::uint64_t count;
        int level;
        const server_rec* server;
    };

    /// As LogThrottle::permit(), for a line with this id; those that are not limited always are
    /// permitted. [any thread]
    [[nodiscard]] std::optional<std::uint64_t>
    permit(std::uint16_t number, int level, const server_rec* server,
           Clock::time_point now = Clock::now()) noexcept {
        const auto at = std::ranges::find(kLimitedLines, number);
        if (at == kLimitedLines.end()) {
            return 0;
        }
        Limit& limit = limits_.at(static_cast<std::size_t>(at - kLimitedLines.begin()));
        limit.level.store(level);
        limit.server.store(server);
        return limit.line.permit(now);
    }

    using Due = base::LogThrottle::Due;
    /// Calls `say` with each LeftOut that is to be said. True when some remain. [any thread]
    template <class Say>
    bool report(Due due, Say say, Clock::time_point now = Clock::now()) noexcept {
        bool remains = false;
        for (std::size_t i = 0; i < limits_.size(); ++i) {
            Limit& limit = limits_.at(i);
            if (const std::uint64_t count = limit.line.overdue(due, now)) {
                say(LeftOut{kLimitedLines.at(i), count, limit.level.load(), limit.server.load()});
            }
            remains = remains || limit.line.owes();
        }
        return remains;
    }

private:
    struct Limit {
        base::LogThrottle line{kBurst};
        std::atomic<int> level{0};
        std::atomic<const server_rec*> server{nullptr};
    };
    std::array<Limit, kLimitedLines.size()> limits_;
};

}  // namespace websocket::httpd
