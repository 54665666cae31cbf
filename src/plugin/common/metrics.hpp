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

#include "shm/shared_figures.hpp"

namespace websocket::plugin {

struct Metric {
    using Kind = shm::SharedFigures::Kind;

    std::string name;
    Kind kind;
    std::atomic<std::int64_t> own{0};            ///< of a metric that nobody else sees
    std::atomic<std::int64_t>* value = nullptr;  ///< `own`, or in memory that processes share
    std::int64_t begin = 0;                      ///< what earlier processes have counted there

    Metric(std::string_view what, Kind how) : name(what), kind(how) {}

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
    static constexpr std::size_t kMost = 1000;

    /// `shared`, which may be null, shows what all processes have counted.
    explicit Metrics(shm::SharedFigures* shared = nullptr) noexcept : shared_(shared) {}

    /// The metric of this name; null when there are kMost others, or when it is of the other kind.
    /// Throws std::bad_alloc.
    [[nodiscard]] Metric* find_or_add(std::string_view name, Metric::Kind kind);

    /// True once, when a metric could not be had, or had but not be shown.
    [[nodiscard]] bool newly_full() noexcept { return full_ && !told_.exchange(true); }

private:
    shm::SharedFigures* const shared_;
    std::mutex mutex_;  // guards metrics_, not the values in it
    std::deque<Metric> metrics_;
    std::atomic<bool> full_{false};
    std::atomic<bool> told_{false};
};

}  // namespace websocket::plugin
