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
#include <utility>

#include "shm/metric_catalogue.hpp"

namespace websocket::plugin {

/// Whose metric it is. Visible ASCII without spaces, but the location may be anything.
struct MetricName {
    // In the catalogue.
    static constexpr std::string_view kPluginLabel = "plugin";
    static constexpr std::string_view kLocationLabel = "location";

    std::string_view plugin;
    std::string_view name;
    std::string_view location;
};

struct Metric {
    using Kind = shm::MetricType;

    std::string name;  ///< "chat.messages" and the location, behind a line feed
    Kind kind;
    std::atomic<std::int64_t> own{0};            ///< of a metric that nobody else sees
    std::atomic<std::int64_t>* value = nullptr;  ///< `own`, or in memory that processes share
    std::int64_t begin = 0;                      ///< what earlier processes have counted there

    Metric(std::string what, Kind how) : name(std::move(what)), kind(how) {}

    void add(std::int64_t amount) noexcept { value->fetch_add(amount, std::memory_order_relaxed); }
    /// To what this process has counted; what others have is kept.
    void set(std::int64_t amount) noexcept {
        // Unsigned: it may come to more than fits.
        const auto sum = static_cast<std::uint64_t>(begin) + static_cast<std::uint64_t>(amount);
        value->store(static_cast<std::int64_t>(sum), std::memory_order_relaxed);
    }
};

/// Metrics are never freed. [any thread]
class Metrics {
public:
    static constexpr std::size_t kMax = 1000;
    static constexpr std::size_t kLongestShown = 238;  ///< plugin, name and location together

    /// `shared`, which may be null, shows what all processes have counted.
    explicit Metrics(shm::MetricCatalogue* shared = nullptr) noexcept : shared_(shared) {}

    /// The metric of this name; null when there are kMax others, or when it is of the other kind.
    /// Throws std::bad_alloc.
    [[nodiscard]] Metric* find_or_add(const MetricName& name, Metric::Kind kind);

    /// True once, when a metric could not be had, or had but not be shown.
    [[nodiscard]] bool newly_full() noexcept { return full_ && !told_.exchange(true); }

private:
    /// Null where nobody else would see it.
    [[nodiscard]] std::atomic<std::int64_t>* shared_value(const MetricName& name,
                                                          Metric::Kind kind) const noexcept;

    shm::MetricCatalogue* const shared_;
    std::mutex mutex_;  // guards metrics_, not the values in it
    std::deque<Metric> metrics_;
    std::atomic<bool> full_{false};
    std::atomic<bool> told_{false};
};

}  // namespace websocket::plugin
