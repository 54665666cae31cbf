// SPDX-License-Identifier: Apache-2.0
// Work for a pool: functions, and what blocks until a test lets it go.
#pragma once

#include <functional>
#include <utility>

#include "engine/awaiting.hpp"
#include "plugin/common/pool.hpp"

namespace websocket::test {

/// Runs a function each time.
class Work final : public plugin::PoolTask {
public:
    explicit Work(std::function<void()> what) : what_(std::move(what)) {}
    Work(plugin::PoolLane& lane, std::function<void()> what)
        : PoolTask(lane), what_(std::move(what)) {}
    void run() noexcept override { what_(); }

private:
    const std::function<void()> what_;
};

/// Blocks a thread of the pool until it is released.
class Blocker {
public:
    explicit Blocker(plugin::Pool& pool) : work_([this] { block(); }) { pool.submit(work_); }
    Blocker(plugin::Pool& pool, plugin::PoolLane& lane) : work_(lane, [this] { block(); }) {
        pool.submit(work_);
    }
    ~Blocker() { release(); }
    void await_begun() { begun_.await("a thread for blocking work"); }
    [[nodiscard]] bool begun() { return begun_.passed(0ms); }
    void release() {
        go_.open();
        done_.await("the end of blocking work");
    }

private:
    void block() {
        begun_.open();
        static_cast<void>(go_.passed(kForEver));
        done_.open();
    }

    static constexpr std::chrono::hours kForEver{1};
    Door begun_;
    Door go_;
    Door done_;
    Work work_;
};

}  // namespace websocket::test
