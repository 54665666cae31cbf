// SPDX-License-Identifier: Apache-2.0
#include "plugin/common/metrics.hpp"

#include <algorithm>

namespace websocket::plugin {

Metric* Metrics::find_or_add(std::string_view name, Metric::Kind kind) {
    const std::lock_guard lock(mutex_);
    const auto known = std::ranges::find(metrics_, name, &Metric::name);
    if (known != metrics_.end()) {
        return known->kind == kind ? &*known : nullptr;
    }
    if (metrics_.size() == kMost) {
        full_ = true;
        return nullptr;
    }
    Metric& metric = metrics_.emplace_back(name, kind);
    metric.value = shared_ != nullptr ? shared_->find_or_add(name, kind) : nullptr;
    if (metric.value == nullptr) {
        metric.value = &metric.own;
        full_ = full_ || shared_ != nullptr;
    }
    metric.begin = metric.value->load();
    return &metric;
}

}  // namespace websocket::plugin
