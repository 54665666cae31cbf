// SPDX-License-Identifier: Apache-2.0
#include "shm/metric_catalogue.hpp"

#include <algorithm>
#include <map>
#include <tuple>

namespace websocket::shm {

namespace {

std::size_t bytes_of(const MetricDescription& metric) noexcept {
    std::size_t size = metric.name.size() + metric.help.size();
    for (const MetricLabel& label : metric.labels) {
        size += label.name.size() + label.value.size();
    }
    return size;
}

/// What is set may come to more than fits.
std::int64_t plus(std::int64_t a, std::int64_t b) noexcept {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}

}  // namespace

// --- descriptions --------------------------------------------------------------------------------

std::string_view MetricCatalogue::Entry::at(std::size_t which) const noexcept {
    const std::size_t begin = which != 0 ? ends.at(which - 1) : 0;
    return {text.data() + begin, ends.at(which) - begin};
}

bool MetricCatalogue::Entry::same(const MetricDescription& metric) const noexcept {
    if (at(0) != metric.name || labels != metric.labels.size()) {
        return false;
    }
    for (std::size_t i = 0; i < labels; ++i) {
        if (at(2 + 2 * i) != metric.labels[i].name || at(3 + 2 * i) != metric.labels[i].value) {
            return false;
        }
    }
    return true;
}

void MetricCatalogue::Entry::write(const MetricDescription& metric) noexcept {
    std::size_t used = 0;
    std::size_t end = 0;
    const auto append = [&](std::string_view more) {
        std::copy(more.begin(), more.end(), text.begin() + static_cast<std::ptrdiff_t>(end));
        end += more.size();
        ends.at(used++) = static_cast<std::uint16_t>(end);
    };
    append(metric.name);
    append(metric.help);
    for (const MetricLabel& label : metric.labels) {
        append(label.name);
        append(label.value);
    }
    type = metric.type;
    labels = static_cast<std::uint8_t>(metric.labels.size());
}

MetricCatalogue::MetricCatalogue(std::uint32_t processes)
    : parts_(processes, sizeof(Part)),
      memory_(ProcessSlots::bytes(kMaxMetrics) + kMaxMetrics * sizeof(Entry)),
      described_(memory_.data(), kMaxMetrics) {}

MetricCatalogue::Entry& MetricCatalogue::entry(Id metric) const noexcept {
    char* entries = static_cast<char*>(memory_.data()) + ProcessSlots::bytes(kMaxMetrics);
    return reinterpret_cast<Entry*>(entries)[metric];
}

std::optional<MetricCatalogue::Id>
MetricCatalogue::find(const MetricDescription& metric) const noexcept {
    for (Id id = 0; id < described_.used(); ++id) {
        if (described_.owner(id).is_kept() && entry(id).same(metric)) {
            return id;
        }
    }
    return {};
}

std::optional<MetricCatalogue::Id>
MetricCatalogue::find_or_add(const MetricDescription& metric) noexcept {
    if (metric.labels.size() > kMaxLabels || bytes_of(metric) > kMaxText) {
        return {};
    }
    if (const auto known = find(metric)) {
        return entry(*known).type == metric.type ? known : std::nullopt;
    }
    const auto claim = described_.claim();
    if (!claim) {
        return {};
    }
    entry(claim->slot).write(metric);
    // What another process is writing just now may be the same, which then stands here twice; who reads
    // adds both up.
    described_.keep(*claim);
    return claim->slot;
}

// --- values --------------------------------------------------------------------------------------

MetricCatalogue::Value* MetricCatalogue::own(Id metric) noexcept {
    auto* part = static_cast<Part*>(parts_.own());
    return part != nullptr ? &part->values.at(metric) : nullptr;
}

std::int64_t MetricCatalogue::Reading::operator[](Id metric) const noexcept {
    const Part& part = *static_cast<const Part*>(part_);
    return plus(part.values.at(metric).load(std::memory_order_relaxed),
                -part.begins.at(metric).load(std::memory_order_relaxed));
}

std::int64_t MetricCatalogue::sum(Id metric) const noexcept {
    std::int64_t sum = 0;
    parts_.for_each_used([&](const void* part) {
        const Value& value = static_cast<const Part*>(part)->values.at(metric);
        sum = plus(sum, value.load(std::memory_order_relaxed));
    });
    return sum;
}

const std::string* MetricCatalogue::Metric::label(std::string_view which) const noexcept {
    const auto found =
        std::ranges::find_if(labels, [&](const auto& label) { return label.first == which; });
    return found != labels.end() ? &found->second : nullptr;
}

std::vector<MetricCatalogue::Metric> MetricCatalogue::read() const {
    std::vector<Metric> metrics;
    for (Id id = 0; id < described_.used(); ++id) {
        if (!described_.owner(id).is_kept()) {
            continue;
        }
        const Entry& known = entry(id);
        Metric& metric = metrics.emplace_back();
        metric.name = known.at(0);
        metric.type = known.type;
        metric.help = known.at(1);
        for (std::size_t i = 0; i < known.labels; ++i) {
            metric.labels.emplace_back(known.at(2 + 2 * i), known.at(3 + 2 * i));
        }
        metric.value = sum(id);
    }
    for (const Source source : sources_) {
        source(metrics);
    }
    const auto key = [](const Metric& metric) {
        return std::tie(metric.name, metric.labels, metric.type);
    };
    std::ranges::stable_sort(metrics, {}, key);
    // Of those that stand there twice, the first gets all.
    std::size_t kept = 0;
    for (std::size_t i = 1; i < metrics.size(); ++i) {
        if (key(metrics[kept]) == key(metrics[i])) {
            metrics[kept].value = plus(metrics[kept].value, metrics[i].value);
        } else if (++kept != i) {
            metrics[kept] = std::move(metrics[i]);
        }
    }
    metrics.resize(std::min(metrics.size(), kept + 1));
    return metrics;
}

// --- the end of processes ------------------------------------------------------------------------

void MetricCatalogue::tidy(Part& part) const noexcept {
    for (Id id = 0; id < described_.used(); ++id) {
        if (!described_.owner(id).is_kept()) {
            continue;
        }
        if (entry(id).type == MetricType::gauge) {
            part.values.at(id).store(0);
        } else {
            part.begins.at(id).store(part.values.at(id).load());
        }
    }
}

void MetricCatalogue::reap(pid_t process) noexcept {
    parts_.reap(process, [this](void* part) { tidy(*static_cast<Part*>(part)); });
    described_.reap(process, [](std::uint32_t /*half_written*/) {});
}

void MetricCatalogue::reap_ended() noexcept {
    parts_.reap_ended([this](void* part) { tidy(*static_cast<Part*>(part)); });
    described_.reap_ended([](std::uint32_t /*half_written*/) {});
}

}  // namespace websocket::shm
