// SPDX-License-Identifier: Apache-2.0
// What the module itself counts, in the catalogue that also has the metrics of plugins.
#pragma once

#include <httpd.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "engine/open_counts.hpp"
#include "httpd/takeover/transport_kind.hpp"
#include "hub/topic_counts.hpp"
#include "protocol/deflate_settings.hpp"
#include "shm/metric_catalogue.hpp"

namespace websocket::httpd {

/// What was agreed on for messages of the server.
enum class Compressor : std::uint8_t {
    none,
    shared,     ///< each message by itself
    dedicated,  ///< they refer to earlier ones
};
inline constexpr std::size_t kTransports = kTransportNames.size();
inline constexpr std::size_t kCompressors = 3;

/// Where they stand in the catalogue.
struct OwnMetrics {
    using Id = shm::MetricCatalogue::Id;
    using OfTopics = std::array<Id, 4>;

    /// Open connections. One after the other, as status_category() counts.
    std::array<std::array<Id, kCompressors>, kTransports> connections{};
    OfTopics topics{};  ///< in the order of the members of hub::TopicCounts
    Id hanging_loops = 0;
};

/// Makes the catalogue, which outlives restarts: children of an earlier generation still have connections, and
/// counters go on. Throws std::system_error. [config]
void prepare_metrics(server_rec* server);

/// Null when there is no memory. [any thread]
[[nodiscard]] shm::MetricCatalogue* metric_catalogue() noexcept;
/// While there is a catalogue. [any thread]
[[nodiscard]] const OwnMetrics& own_metrics() noexcept;

/// Where this process counts its connections, by status_category(). Null when there is no memory.
/// [any thread]
[[nodiscard]] engine::OpenCounts* own_open_counts() noexcept;
/// The same for its topics. [any thread]
[[nodiscard]] hub::TopicCounts* own_topic_counts() noexcept;

/// Shows that so many event loops of this process hang. [watcher]
void show_hanging_loops(std::uint32_t count) noexcept;

[[nodiscard]] std::uint8_t status_category(TransportKind transport,
                                           const protocol::DeflateSettings& deflate) noexcept;

}  // namespace websocket::httpd
