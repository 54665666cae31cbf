// SPDX-License-Identifier: Apache-2.0
// How many connections may hold a thread of httpd, so that enough are left for ordinary requests.
#pragma once

#include <apr_pools.h>

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>

namespace websocket::httpd {

/// Permission to hold a thread, for as long as it lives. [any thread]
class PumpPlace {
public:
    explicit PumpPlace(std::atomic<pid_t>& holder) noexcept : holder_(&holder) {}
    PumpPlace(PumpPlace&& other) noexcept : holder_(std::exchange(other.holder_, nullptr)) {}
    PumpPlace& operator=(PumpPlace&&) = delete;
    ~PumpPlace() {
        if (holder_ != nullptr) {
            holder_->store(0);
        }
    }

private:
    std::atomic<pid_t>* holder_;
};

/// A fixed number of places. Made before the fork: each child has its own, or all share them.
class PumpPlaces {
public:
    enum class For : std::uint8_t { each_child, all_children };

    PumpPlaces() noexcept = default;
    /// Lives as long as `pool`; has no place at all when there is no memory. [config]
    PumpPlaces(apr_pool_t* pool, std::size_t count, For whom) noexcept;

    /// Empty when all are taken. Places of processes that are gone can be taken. [any thread]
    [[nodiscard]] std::optional<PumpPlace> take() const noexcept;

    [[nodiscard]] std::size_t count() const noexcept { return holders_.size(); }

private:
    std::span<std::atomic<pid_t>> holders_;  ///< 0 for a free place
};

}  // namespace websocket::httpd
