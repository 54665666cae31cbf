// SPDX-License-Identifier: Apache-2.0
// Threads for callbacks that may block.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "engine/log.hpp"

namespace websocket::plugin {

/// Work that the pool may carry out. The pool never runs one object twice at the same time, as long
/// as it is submitted only when it is neither waiting nor running.
class PoolTask {
public:
    PoolTask() noexcept = default;
    PoolTask(const PoolTask&) = delete;
    PoolTask& operator=(const PoolTask&) = delete;

    /// May submit or delete itself as its last action. [pool]
    virtual void run() noexcept = 0;

protected:
    ~PoolTask() = default;

private:
    friend class Pool;
    PoolTask* next_ = nullptr;
};

struct PoolOptions {
    unsigned min_threads = 0;   ///< kept when there is nothing to do
    unsigned max_threads = 64;  ///< each may be blocked by one connection's callback
};

/// First come, first served. As many threads as cores do the work; when for kStall none of them has
/// begun anything although work waits, they are taken to be blocked and another one is added.
/// Submitting allocates nothing and cannot fail.
class Pool {
public:
    static constexpr std::chrono::milliseconds kStall{5};
    static constexpr std::chrono::seconds kIdle{30};  ///< then a thread above the minimum ends

    /// `log` outlives the pool.
    Pool(const PoolOptions& options, engine::Log& log) noexcept;
    /// Runs what is submitted and waits for the threads.
    ~Pool();
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    /// False when there is no thread and none can be created: nothing should be submitted then.
    /// [any thread]
    [[nodiscard]] bool ready() noexcept;

    /// [any thread]
    void submit(PoolTask& task) noexcept;

private:
    using Clock = std::chrono::steady_clock;

    void work() noexcept;
    void keep() noexcept;
    void add_worker() noexcept;
    [[nodiscard]] bool start_thread(void (Pool::*body)() noexcept) noexcept;
    [[nodiscard]] bool wait_for_work(std::unique_lock<std::mutex>& lock) noexcept;
    void run_next(std::unique_lock<std::mutex>& lock) noexcept;

    const PoolOptions options_;
    const unsigned usual_threads_;  // beyond these only when they stall
    engine::Log& log_;

    std::mutex mutex_;  // guards everything below
    std::condition_variable work_;
    std::condition_variable keeper_;
    std::condition_variable ended_;
    PoolTask* first_ = nullptr;
    PoolTask* last_ = nullptr;
    unsigned threads_ = 0;  // workers
    unsigned idle_ = 0;     // of these, waiting for work
    unsigned woken_ = 0;    // of the idle, on their way to work that is waiting
    bool keeper_runs_ = false;
    bool keeper_rests_ = false;  // waits to be told that work waits
    bool exhausted_ = false;     // max_threads are blocked, and the log says so
    bool stopping_ = false;
    std::uint64_t begun_ = 0;  // tasks so far
};

}  // namespace websocket::plugin
