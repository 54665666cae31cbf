// SPDX-License-Identifier: Apache-2.0
// What a server counts, summed over all its processes, in memory they share.
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shm/mapping.hpp"
#include "shm/per_process.hpp"
#include "shm/process_slots.hpp"

namespace websocket::shm {

enum class MetricType : std::uint8_t {
    counter,  ///< only grows
    gauge,    ///< goes up and down
};

struct MetricLabel {
    std::string_view name;
    std::string_view value;
};

/// What a metric is. Its name and labels, which may contain anything, tell it apart from all others.
struct MetricDescription {
    std::string_view name;
    MetricType type;
    std::string_view help;  ///< a sentence; empty where nobody has written one
    std::span<const MetricLabel> labels;
};

/// Each process counts in a slot of its own, by adding to values that only it writes to. When it ends, in
/// whatever way, its gauges are set to 0 and its counters stay where they are: the next process that gets
/// the slot goes on from there. So nothing is ever moved that a reader could miss or see twice, and
/// whoever reads again sees no counter go back. A description is a slot, too, which is kept as soon as the
/// description is complete: a process that is killed while it adds one leaves a slot to reap. Made by the
/// parent, which may describe metrics but counts nothing; its forked children use it.
class MetricCatalogue {
public:
    using Value = std::atomic<std::int64_t>;
    static_assert(Value::is_always_lock_free, "it is shared between processes");
    using Id = std::uint32_t;

    static constexpr std::uint32_t kMaxMetrics = 1024;
    static constexpr std::size_t kMaxLabels = 3;
    static constexpr std::size_t kMaxText = 488;  ///< all texts of a description together

    /// For so many processes at a time. Memory is used as far as it is touched. Throws
    /// std::system_error.
    explicit MetricCatalogue(std::uint32_t processes);

    /// The metric of this description, whose help is that of who came first. Nothing when there are
    /// kMaxMetrics others, when it has too many labels or too long texts, and when it is of the other
    /// type. [any thread]
    [[nodiscard]] std::optional<Id> find_or_add(const MetricDescription& metric) noexcept;

    /// Where this process counts the metric. A counter holds what earlier processes have left there; a
    /// gauge begins at 0. Null when there is no memory. [any thread]
    [[nodiscard]] Value* own(Id metric) noexcept;
    /// False when no slot was left for this process, and nobody else sees what it counts; known after
    /// own(). [any thread]
    [[nodiscard]] bool shares() const noexcept { return parts_.shares(); }

    struct Metric {
        std::string name;
        MetricType type;
        std::string help;
        std::vector<std::pair<std::string, std::string>> labels;
        std::int64_t value;  ///< of all processes

        /// Null when there is no such label.
        [[nodiscard]] const std::string* label(std::string_view which) const noexcept;
        bool operator==(const Metric&) const = default;
    };
    /// All of them, by name and labels. Waits for nobody but sources. Throws std::bad_alloc. [any thread]
    [[nodiscard]] std::vector<Metric> read() const;

    /// Adds what is counted elsewhere. May throw std::bad_alloc. [any thread]
    using Source = void (*)(std::vector<Metric>& metrics);
    /// Its function is called by read(), in this process and those forked from it, until forget_sources(): before its code
    /// is unloaded, or before the next read(). Throws std::bad_alloc. [config]
    void add_source(Source source) { sources_.push_back(source); }
    void forget_sources() noexcept { sources_.clear(); }

    /// What a process has counted since it began.
    class Reading {
    public:
        [[nodiscard]] std::int64_t operator[](Id metric) const noexcept;

    private:
        friend class MetricCatalogue;
        explicit Reading(const void* part) noexcept : part_(part) {}
        const void* part_;
    };
    /// Calls `visit(pid_t, Reading)` for each process that counts. [any thread]
    template <class Visit>
    void for_each_process(Visit visit) const {
        parts_.for_each([&](pid_t process, const void* part) { visit(process, Reading(part)); });
    }
    /// What all processes have counted, also those that have ended. [any thread]
    [[nodiscard]] std::int64_t sum(Id metric) const noexcept;

    /// The process has ended. [config]
    void reap(pid_t process) noexcept;
    /// The same for all that have ended. [config]
    void reap_ended() noexcept;

private:
    /// A description: name, help, and each label's name and value in turn.
    struct Entry {
        static constexpr std::size_t kTexts = 2 + 2 * kMaxLabels;

        MetricType type;
        std::uint8_t labels;
        std::array<std::uint16_t, kTexts> ends;  ///< of each text, the next begins there
        std::array<char, kMaxText> text;

        [[nodiscard]] std::string_view at(std::size_t which) const noexcept;
        [[nodiscard]] bool same(const MetricDescription& metric) const noexcept;
        void write(const MetricDescription& metric) noexcept;
    };
    /// A process's; each value in the slot of its description.
    struct Part {
        std::array<Value, kMaxMetrics> values;
        std::array<Value, kMaxMetrics> begins;  ///< what counters had when the process began
    };

    [[nodiscard]] Entry& entry(Id metric) const noexcept;
    [[nodiscard]] std::optional<Id> find(const MetricDescription& metric) const noexcept;
    void tidy(Part& part) const noexcept;

    PerProcess parts_;
    Mapping memory_;  // of the descriptions
    const ProcessSlots described_;
    std::vector<Source> sources_;
};

}  // namespace websocket::shm
