// SPDX-License-Identifier: Apache-2.0
// What a plugin has asked for outside of any connection, one at a time in the pool.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>

#include "plugin/common/endpoint.hpp"
#include "plugin/common/pool.hpp"
#include "plugin/v1/v1_call.hpp"

namespace websocket::plugin {

class CallQueue : private PoolTask {
public:
    CallQueue(Host& host, const Endpoint& endpoint) noexcept
        : PoolTask(host.pool.lane(endpoint.place)), host_(host) {}

    /// Has `call` run. Without memory it is left out, and the log says so. [any thread]
    void push(const V1Call::Ref& call, std::uint32_t events) noexcept;

private:
    struct Waiting {
        V1Call::Ref call;
        std::uint32_t events;
    };
    void run() noexcept override;

    Host& host_;
    std::mutex mutex_;  // guards what follows
    std::deque<Waiting> waiting_;
    bool scheduled_ = false;
};

/// Runs a call on a thread of the pool, and has its descriptor polled again if it is a watch.
void run_in_pool(Host& host, V1Call& call, std::uint32_t events) noexcept;

/// Instead, without memory.
void leave_out(Host& host, V1Call& call) noexcept;

}  // namespace websocket::plugin
