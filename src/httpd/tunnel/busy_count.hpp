// SPDX-License-Identifier: Apache-2.0
// What a balancer of mod_proxy knows of how many requests a member serves.
#pragma once

#include <httpd.h>

#include <ap_mpm.h>
#include <apr.h>

#include <atomic>
#include <cstdint>
#include <utility>

namespace websocket::httpd {

/// An open tunnel counts as a request in progress, as it does while httpd serves it. The number lies in
/// memory that all processes share, and httpd counts there without atomic operations. [any thread]
class BusyCount {
public:
    BusyCount() noexcept = default;
    explicit BusyCount(apr_size_t& count) noexcept;
    BusyCount(BusyCount&& other) noexcept
        : count_(std::exchange(other.count_, nullptr)),
          noted_(std::exchange(other.noted_, nullptr)) {}
    BusyCount& operator=(BusyCount&& other) noexcept {
        std::swap(count_, other.count_);
        std::swap(noted_, other.noted_);
        return *this;
    }
    ~BusyCount();

    [[nodiscard]] bool any() const noexcept { return count_ != nullptr; }

private:
    apr_size_t* count_ = nullptr;
    std::atomic<std::uint64_t>* noted_ = nullptr;  ///< what this process has counted there
};

/// Hook: makes the memory in which each process of this generation notes what it has counted. [config]
int prepare_busy_counts(apr_pool_t* pconf, apr_pool_t* plog, apr_pool_t* ptemp, server_rec* server);

/// Hook: takes back what a child had counted that has ended, in whatever way. [config]
void take_back_busy_counts(server_rec* server, pid_t child, ap_generation_t generation, int slot,
                           mpm_child_status status);

}  // namespace websocket::httpd
