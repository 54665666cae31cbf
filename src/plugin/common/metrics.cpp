// SPDX-License-Identifier: Apache-2.0
#include "plugin/common/metrics.hpp"

#include <algorithm>
#include <array>

namespace websocket::plugin {

Metric* Metrics::find_or_add(const MetricName& name, Metric::Kind kind) {
    std::string whole(name.plugin);
    ((whole += '.') += name.name) += '\n';
    whole += name.location;
    const std::lock_guard lock(mutex_);
    const auto known = std::ranges::find(metrics_, whole, &Metric::name);
    if (known != metrics_.end()) {
        return known->kind == kind ? &*known : nullptr;
    }
    if (metrics_.size() == kMax) {
        full_ = true;
        return nullptr;
    }
    const bool fits = whole.size() <= kLongestShown;
    Metric& metric = metrics_.emplace_back(std::move(whole), kind);
    metric.value = fits ? shared_value(name, kind) : nullptr;
    if (metric.value == nullptr) {
        metric.value = &metric.own;
        full_ = full_ || shared_ != nullptr;
    }
    metric.begin = metric.value->load();
    return &metric;
}

std::atomic<std::int64_t>* Metrics::shared_value(const MetricName& name,
                                                 Metric::Kind kind) const noexcept {
    const std::array labels{shm::MetricLabel{MetricName::kPluginLabel, name.plugin},
                            shm::MetricLabel{MetricName::kLocationLabel, name.location}};
    const auto id =
        shared_ != nullptr ? shared_->find_or_add({name.name, kind, "", labels}) : std::nullopt;
    auto* value = id ? shared_->own(*id) : nullptr;
    return shared_ != nullptr && shared_->shares() ? value : nullptr;
}

}  // namespace websocket::plugin
