// SPDX-License-Identifier: Apache-2.0
#include "httpd/status/own_metrics.hpp"

#include <cerrno>
#include <optional>
#include <system_error>

#include "httpd/broker/broker_status.hpp"
#include "httpd/process/mpm.hpp"
#include "httpd/process/process_lifetime.hpp"
#include "httpd/status/store_status.hpp"

namespace websocket::httpd {

namespace {

using engine::OpenCounts;
using shm::MetricCatalogue;
using shm::MetricLabel;
using shm::MetricType;

constexpr std::array<const char*, kCompressors> kCompressorNames{"none", "shared", "dedicated"};
static_assert(kTransports * kCompressors <= OpenCounts::kCategories);

/// The number changes with the layout of MetricCatalogue, and with what stands in it.
constexpr const char* kMetricsKey = "mod_websocket metrics 4";

// httpd's hooks have no other place for them.
MetricCatalogue* shared_catalogue = nullptr;
OwnMetrics own_ids;
std::optional<hub::TopicCounts> process_topic_counts;  // of this process
OpenCounts process_open_counts;                        // of this process

MetricCatalogue::Id add_metric(MetricCatalogue& to, const shm::MetricDescription& metric) {
    // The catalogue is not full: they were there before the first plugin.
    if (const auto id = to.find_or_add(metric)) {
        return *id;
    }
    throw std::system_error(ENOSPC, std::generic_category());
}

OwnMetrics add_own(MetricCatalogue& to) {
    OwnMetrics all;
    for (std::size_t transport = 0; transport < kTransports; ++transport) {
        for (std::size_t compressor = 0; compressor < kCompressors; ++compressor) {
            const std::array labels{MetricLabel{"transport", kTransportNames.at(transport)},
                                    MetricLabel{"compression", kCompressorNames.at(compressor)}};
            all.connections.at(transport).at(compressor) =
                add_metric(to, {"websocket_connections", MetricType::gauge,
                                "Open WebSocket connections and event streams.", labels});
        }
    }
    all.topics = {
        add_metric(to, {"websocket_topics",
                        MetricType::gauge,
                        "Topics; one that several processes have counts once for each.",
                        {}}),
        add_metric(to, {"websocket_topic_subscriptions",
                        MetricType::gauge,
                        "Subscriptions of connections to topics.",
                        {}}),
        add_metric(to, {"websocket_topic_listeners",
                        MetricType::gauge,
                        "Listeners of plugins to topics.",
                        {}}),
        add_metric(to, {"websocket_topic_messages_dropped",
                        MetricType::counter,
                        "Published messages that somebody did not get.",
                        {}}),
    };
    // The last one: what follows is counted by plugins, perhaps often, and this is written once a second.
    all.hanging_loops = add_metric(to, {"websocket_hanging_loops",
                                        MetricType::gauge,
                                        "Event loops that do not come back from a plugin.",
                                        {}});
    return all;
}

}  // namespace

void prepare_metrics(server_rec* server) {
    auto* made = make_process_lifetime<MetricCatalogue>(server, kMetricsKey, max_processes());
    made->forget_sources();  // of an earlier configuration, perhaps in code that is gone
    made->add_source(add_broker_metrics);
    made->add_source(add_store_metrics);
    made->reap_ended();  // whose end could not be told while the module was unloaded
    own_ids = add_own(*made);
    shared_catalogue = made;
}

MetricCatalogue* metric_catalogue() noexcept { return shared_catalogue; }

const OwnMetrics& own_metrics() noexcept { return own_ids; }

OpenCounts* own_open_counts() noexcept {
    if (shared_catalogue == nullptr || shared_catalogue->own(own_ids.hanging_loops) == nullptr) {
        return nullptr;
    }
    std::size_t category = 0;
    for (const auto& of_transport : own_ids.connections) {
        for (const MetricCatalogue::Id id : of_transport) {
            process_open_counts.count_at(category++, *shared_catalogue->own(id));
        }
    }
    return &process_open_counts;
}

hub::TopicCounts* own_topic_counts() noexcept {
    if (shared_catalogue == nullptr || shared_catalogue->own(own_ids.hanging_loops) == nullptr) {
        return nullptr;
    }
    const auto at = [](MetricCatalogue::Id id) -> auto& { return *shared_catalogue->own(id); };
    const OwnMetrics::OfTopics& of = own_ids.topics;
    return &process_topic_counts.emplace(
        hub::TopicCounts{at(of[0]), at(of[1]), at(of[2]), at(of[3])});
}

void show_hanging_loops(std::uint32_t count) noexcept {
    auto* shown =
        shared_catalogue != nullptr ? shared_catalogue->own(own_ids.hanging_loops) : nullptr;
    if (shown != nullptr) {
        shown->store(count, std::memory_order_relaxed);
    }
}

std::uint8_t status_category(TransportKind transport,
                             const protocol::DeflateSettings& deflate) noexcept {
    auto compressor = Compressor::none;
    if (deflate.agreed()) {
        compressor = deflate.server_takeover ? Compressor::dedicated : Compressor::shared;
    }
    return static_cast<std::uint8_t>(static_cast<std::size_t>(transport) * kCompressors +
                                     static_cast<std::size_t>(compressor));
}

}  // namespace websocket::httpd
