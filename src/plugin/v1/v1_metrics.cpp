// SPDX-License-Identifier: Apache-2.0
// ws.metrics/1
#include <algorithm>
#include <new>
#include <string>
#include <string_view>

#include "plugin/common/metrics.hpp"
#include "plugin/v1/v1_host.hpp"
#include "plugin/v1/v1_instance.hpp"

namespace websocket::plugin {

namespace {

constexpr std::size_t kLongestName = 64;

bool is_name(std::string_view name) {
    return !name.empty() && name.size() <= kLongestName && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    });
}

Metric* metric_of(ws_metric* metric) { return reinterpret_cast<Metric*>(metric); }

ws_metric* metric(const ws_host* host, const char* name, uint64_t n, uint32_t kind) {
    if (host == nullptr || name == nullptr || kind > WS_GAUGE || !is_name({name, n})) {
        return nullptr;
    }
    const V1Instance& instance = V1Instance::of(host);
    try {
        Metrics& metrics = *instance.host().metrics;
        Metric* found =
            metrics.find_or_add({instance.plugin().name, {name, n}, instance.endpoint().location},
                                kind == WS_GAUGE ? Metric::Kind::gauge : Metric::Kind::counter);
        if (metrics.newly_full()) {
            instance.host().log.write(
                base::LogLevel::warning,
                "WS0421: [" + std::string(instance.plugin().name) + "] metric " +
                    std::string(name, n) +
                    " will not be on the status page: there are too many, its name is too long, "
                    "or it was of the other kind");
        }
        return reinterpret_cast<ws_metric*>(found);
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

void add(ws_metric* metric, int64_t amount) {
    if (metric != nullptr) {
        metric_of(metric)->add(amount);
    }
}

void set(ws_metric* metric, int64_t value) {
    if (metric != nullptr) {
        metric_of(metric)->set(value);
    }
}

}  // namespace

const void* metrics_extension() noexcept {
    static constexpr ws_metrics_1 kTable{sizeof(ws_metrics_1), 0, metric, add, set};
    return &kTable;
}

}  // namespace websocket::plugin
