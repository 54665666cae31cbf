// SPDX-License-Identifier: Apache-2.0
// The plugins of version 1 that are at work in a child.
#pragma once

#include <chrono>
#include <deque>
#include <mutex>

#include "httpd/config/endpoints.hpp"
#include "plugin/common/pool.hpp"
#include "plugin/v1/v1_instance.hpp"

namespace websocket::httpd {

/// None is ever destroyed: plugins that do not return from a callback keep using theirs.
class Instances {
public:
    using Clock = std::chrono::steady_clock;

    explicit Instances(plugin::Host& host) noexcept : host_(host), drain_notice_(*this) {}

    /// The one that serves there, not necessarily started. `service` has a plugin of version 1. Locks
    /// and allocates the first time only. Throws std::bad_alloc. [httpd worker]
    [[nodiscard]] plugin::V1Instance& of(Service& service);

    /// Tells all of them that the process drains, in the pool: they may block. [child_stopping]
    void begin_drain(Clock::time_point deadline) noexcept;
    /// For one that has started when the process drains already. [httpd worker]
    void tell_of_drain(plugin::V1Instance& instance) const noexcept;

    /// No connection and no loop is left. [loop]
    void end() noexcept;

private:
    struct DrainNotice final : plugin::PoolTask {
        explicit DrainNotice(Instances& of) noexcept : instances(of) {}
        void run() noexcept override;
        void tell_all() noexcept;

        Instances& instances;
        Clock::time_point deadline;
    };

    plugin::Host& host_;
    DrainNotice drain_notice_;
    std::mutex mutex_;  // guards what follows
    bool ended_ = false;
    std::deque<plugin::V1Instance> all_;
};

}  // namespace websocket::httpd
