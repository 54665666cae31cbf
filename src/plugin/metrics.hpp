// SPDX-License-Identifier: Apache-2.0
// Figures that plugins keep, for a status page.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>

namespace websocket::plugin {

struct Metric {
    enum class Kind : std::uint8_t { counter, gauge };

    std::string name;
    Kind kind;
    std::atomic<std::int64_t> value{0};

    Metric(std::string_view what, Kind how) : name(what), kind(how) {}
};

/// Metrics are never freed. [any thread]
class Metrics {
public:
    static constexpr std::size_t kMost = 1000;

    /// The metric of this name; null when there are kMost others, or when it is of the other kind.
    /// Throws std::bad_alloc.
    [[nodiscard]] Metric* find_or_add(std::string_view name, Metric::Kind kind);

    /// Calls `visit(const Metric&)` for each, in the order of their registration.
    template <class Visit>
    void for_each(Visit visit) {
        const std::lock_guard lock(mutex_);
        for (const Metric& metric : metrics_) {
            visit(metric);
        }
    }

private:
    std::mutex mutex_;  // guards metrics_, not the values in it
    std::deque<Metric> metrics_;
};

}  // namespace websocket::plugin
