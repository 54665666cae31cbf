// SPDX-License-Identifier: Apache-2.0
// What the configuration makes of each location, once, for all its handshakes and connections.
#pragma once

#include <atomic>
#include <cstddef>
#include <deque>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "httpd/config/section_path.hpp"
#include "httpd/handshake/handshake_options.hpp"
#include "plugin/common/endpoint.hpp"

namespace websocket::plugin {
class V1Instance;
}

namespace websocket::httpd {

/// A plugin in its location.
struct Service {
    explicit Service(plugin::Endpoint&& of) noexcept : endpoint(std::move(of)) {}

    const plugin::Endpoint endpoint;  ///< without callbacks: no plugin is configured
    /// What serves it in this process; null: a plugin of version 0, or not made yet.
    std::atomic<plugin::V1Instance*> instance{nullptr};
};

/// What applies to a handshake. Endpoints with equal settings for the plugin share a service.
struct Endpoint {
    HandshakeOptions handshake;
    Service& service;

    [[nodiscard]] bool has_plugin() const noexcept { return service.endpoint.callbacks != nullptr; }
};

/// All endpoints of a process. They never change, and live as long as this.
class Endpoints {
public:
    /// As configured, before it is known whether others are the same.
    struct Settings {
        HandshakeOptions handshake;
        plugin::Endpoint plugin;
    };

    /// Paths that are remembered beyond those that were expected: requests choose which sections match
    /// together, and there may be very many ways.
    static constexpr std::size_t kMaxUnexpected = 4096;

    /// `expected` paths will be added. Throws std::bad_alloc.
    explicit Endpoints(std::size_t expected);
    Endpoints(const Endpoints&) = delete;
    Endpoints& operator=(const Endpoints&) = delete;

    /// What was added for these sections in this virtual host; null when nothing was. Neither locks nor
    /// allocates. [any thread]
    [[nodiscard]] const Endpoint* find(const void* host,
                                       const SectionPath& sections) const noexcept;

    /// Equal settings give the same endpoint. It will be found again if the sections are known. Throws
    /// std::bad_alloc. [any thread]
    const Endpoint& add(const void* host, const SectionPath& sections, Settings&& settings);

private:
    struct Path {
        const void* host;
        SectionPath sections;
        const Endpoint* endpoint;
        const Path* next;  ///< with the same hash
    };
    using Bucket = std::atomic<const Path*>;

    [[nodiscard]] static std::size_t hash_of(const plugin::Endpoint& endpoint) noexcept;
    [[nodiscard]] std::size_t bucket_of(const void* host,
                                        const SectionPath& sections) const noexcept;
    [[nodiscard]] Service& service_of(plugin::Endpoint&& endpoint);
    [[nodiscard]] const Endpoint& endpoint_of(Settings&& settings);

    std::vector<Bucket> buckets_;  // a power of two
    const std::size_t most_paths_;
    std::mutex mutex_;  // guards what follows, and is held while buckets change
    std::deque<Path> paths_;
    std::unordered_multimap<std::size_t, Service> services_;  // by hash_of()
    std::unordered_multimap<const Service*, Endpoint> endpoints_;
};

}  // namespace websocket::httpd
