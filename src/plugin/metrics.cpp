// SPDX-License-Identifier: Apache-2.0
#include "plugin/metrics.hpp"

#include <algorithm>

namespace websocket::plugin {

Metric* Metrics::find_or_add(std::string_view name, Metric::Kind kind) {
    const std::lock_guard lock(mutex_);
    const auto known = std::ranges::find(metrics_, name, &Metric::name);
    if (known != metrics_.end()) {
        return known->kind == kind ? &*known : nullptr;
    }
    return metrics_.size() < kMost ? &metrics_.emplace_back(name, kind) : nullptr;
}

}  // namespace websocket::plugin
