// SPDX-License-Identifier: Apache-2.0
#include "httpd/config/endpoints.hpp"

#include <bit>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

namespace websocket::httpd {

namespace {

constexpr std::size_t kMinBuckets = 64;

}  // namespace

Endpoints::Endpoints(std::size_t expected)
    : buckets_(std::bit_ceil(expected + kMinBuckets)), most_paths_(expected + kMaxUnexpected) {}

std::size_t Endpoints::bucket_of(const void* host, const SectionPath& sections) const noexcept {
    const std::uint64_t hash =
        (sections.hash() ^ reinterpret_cast<std::uintptr_t>(host)) * 0x9E3779B97F4A7C15U;
    return static_cast<std::size_t>(hash >> 32) & (buckets_.size() - 1);
}

const Endpoint* Endpoints::find(const void* host, const SectionPath& sections) const noexcept {
    if (!sections.known()) {
        return nullptr;
    }
    const Path* path = buckets_[bucket_of(host, sections)].load(std::memory_order_acquire);
    while (path != nullptr && (path->host != host || path->sections != sections)) {
        path = path->next;
    }
    return path != nullptr ? path->endpoint : nullptr;
}

const Endpoint& Endpoints::add(const void* host, const SectionPath& sections, Settings&& settings) {
    const std::lock_guard lock(mutex_);
    if (const Endpoint* known = find(host, sections)) {
        return *known;  // another thread was first
    }
    const Endpoint& endpoint = endpoint_of(std::move(settings));
    if (sections.known() && paths_.size() < most_paths_) {
        Bucket& bucket = buckets_[bucket_of(host, sections)];
        const Path* next = bucket.load(std::memory_order_relaxed);
        bucket.store(&paths_.emplace_back(Path{host, sections, &endpoint, next}),
                     std::memory_order_release);
    }
    return endpoint;
}

const Endpoint& Endpoints::endpoint_of(Settings&& settings) {
    Service& service = service_of(std::move(settings.plugin));
    const auto [begin, end] = endpoints_.equal_range(&service);
    for (auto known = begin; known != end; ++known) {
        if (known->second.handshake == settings.handshake) {
            return known->second;
        }
    }
    return endpoints_.emplace(&service, Endpoint{std::move(settings.handshake), service})->second;
}

Service& Endpoints::service_of(plugin::Endpoint&& endpoint) {
    const std::size_t hash = hash_of(endpoint);
    const auto [begin, end] = services_.equal_range(hash);
    for (auto known = begin; known != end; ++known) {
        if (known->second.endpoint == endpoint) {
            return known->second;
        }
    }
    return services_.emplace(hash, std::move(endpoint))->second;
}

/// Of what differs in most cases.
std::size_t Endpoints::hash_of(const plugin::Endpoint& endpoint) noexcept {
    const std::hash<std::string> hash;
    return hash(endpoint.place) ^ (hash(endpoint.location) << 1) ^
           (hash(endpoint.topics.scope) << 2);
}

}  // namespace websocket::httpd
