// SPDX-License-Identifier: Apache-2.0
// What a balancer of mod_proxy knows of how many requests a member serves.
#pragma once

#include <apr.h>

#include <utility>

namespace websocket::httpd {

/// An open tunnel counts as a request in progress, as it does while httpd serves it. The number lies in
/// memory that all processes share, and httpd counts there without atomic operations. [any thread]
class BusyCount {
public:
    BusyCount() noexcept = default;
    explicit BusyCount(apr_size_t& count) noexcept : count_(&count) {
        __atomic_fetch_add(count_, 1, __ATOMIC_RELAXED);
    }
    BusyCount(BusyCount&& other) noexcept : count_(std::exchange(other.count_, nullptr)) {}
    BusyCount& operator=(BusyCount&& other) noexcept {
        std::swap(count_, other.count_);
        return *this;
    }
    ~BusyCount() {
        // The administrator may have reset it meanwhile.
        apr_size_t known = count_ != nullptr ? __atomic_load_n(count_, __ATOMIC_RELAXED) : 0;
        while (known > 0 && !__atomic_compare_exchange_n(count_, &known, known - 1, /*weak=*/true,
                                                         __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        }
    }

    [[nodiscard]] bool any() const noexcept { return count_ != nullptr; }

private:
    apr_size_t* count_ = nullptr;
};

}  // namespace websocket::httpd
