// SPDX-License-Identifier: Apache-2.0
// Threads for callbacks that may block.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "base/log.hpp"
#include "engine/errand.hpp"
#include "plugin/common/pace.hpp"

namespace websocket::engine {
class Loop;
}

namespace websocket::plugin {

class Pool;
class PoolTask;

/// When a client was given up last.
struct PoolRelief {
    std::uint64_t begun = 0;  ///< tasks so far; until there are more, its thread is on its way
    std::chrono::steady_clock::time_point when{};
};

/// The tasks of one location, first come, first served. Belongs to its pool, which alone looks inside.
class PoolLane {
public:
    PoolLane() noexcept = default;
    PoolLane(const PoolLane&) = delete;
    PoolLane& operator=(const PoolLane&) = delete;

    /// How long its tasks take. [any thread]
    [[nodiscard]] Pace& pace() noexcept { return pace_; }

private:
    friend class Pool;
    using Clock = std::chrono::steady_clock;

    const std::string* name_ = nullptr;  // null: of what belongs to no location
    PoolTask* first_ = nullptr;
    PoolTask* last_ = nullptr;
    PoolLane* next_ = nullptr;  // of those where something waits
    unsigned running_ = 0;      // tasks that hold a thread
    std::uint64_t begun_ = 0;   // tasks so far
    Pace pace_;
    // What the keeper has seen and done.
    std::uint64_t seen_ = 0;     // begun_, at its last look
    Clock::time_point since_{};  // nothing has begun since
    bool told_ = false;          // and the log says so
    PoolRelief relief_;          // when all threads that it may have were blocked
};

/// Work that the pool may carry out. The pool never runs one object twice at the same time, as long
/// as it is submitted only when it is neither waiting nor running.
class PoolTask : public engine::Errand {
public:
    /// Of no location.
    PoolTask() noexcept = default;
    explicit PoolTask(PoolLane& lane) noexcept : lane_(&lane) {}
    PoolTask(const PoolTask&) = delete;
    PoolTask& operator=(const PoolTask&) = delete;

    /// May submit or delete itself as its last action. [pool]
    void run() noexcept override = 0;

protected:
    ~PoolTask() = default;
    /// How long tasks of its location take, which it has. Outlives this.
    // NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): it is not null then
    [[nodiscard]] Pace& pace() const noexcept { return lane_->pace(); }

private:
    friend class Pool;
    PoolLane* const lane_ = nullptr;
    PoolTask* next_ = nullptr;
};

/// While it lives, this thread waits for a client. The pool ends the wait at its deadline; and when it
/// is a task that waits, others wait for a thread, no thread is left and this is the longest wait.
class PoolWait {
public:
    using Clock = std::chrono::steady_clock;
    /// Makes the wait end soon. Does not block, and submits nothing. [any thread]
    using BreakOff = void (*)(void* data) noexcept;
    static constexpr Clock::time_point kNever = Clock::time_point::max();

    /// `client` is the lane of the client's location. [any thread]
    PoolWait(Pool& pool, const PoolLane& client, Clock::time_point deadline, BreakOff break_off,
             void* data) noexcept;
    ~PoolWait();
    PoolWait(const PoolWait&) = delete;
    PoolWait& operator=(const PoolWait&) = delete;

private:
    friend class Pool;

    Pool& pool_;
    const PoolLane& client_;
    const PoolLane* const lane_;  // of the task that waits; null when it is none of the pool
    const Clock::time_point since_;
    const Clock::time_point deadline_;
    const BreakOff break_off_;
    void* const data_;
    PoolWait* before_ = nullptr;  // in the pool's list, the oldest first
    PoolWait* next_ = nullptr;
    bool broken_ = false;
};

struct PoolOptions {
    unsigned min_threads = 0;   ///< kept when there is nothing to do
    unsigned max_threads = 64;  ///< each may be blocked by one connection's callback
    bool shared = false;        ///< by several locations, also before their first clients come
};

/// As many threads as cores do the work; when for kStall none of them has begun anything although
/// work waits, they are taken to be blocked and another one is added. Submitting allocates nothing
/// and cannot fail.
///
/// Each location that has work gets a thread in turn. Of a shared pool none gets the last ones: a
/// location that holds some gets another only while it then has at most kShare times what is left.
/// So one alone may hold three quarters, two three sevenths each, and a seventh is left for others.
class Pool {
public:
    static constexpr std::chrono::milliseconds kStall{5};
    static constexpr std::chrono::seconds kIdle{30};  ///< then a thread above the minimum ends
    /// A client that a task has waited for so long may be given up when threads are short.
    static constexpr std::chrono::milliseconds kPatience{1000};
    /// Callbacks that let nothing else begin for so long are blocked, however busy the machine is.
    static constexpr std::chrono::milliseconds kBlocked{1000};
    static constexpr unsigned kShare = 3;

    /// `log` outlives the pool.
    Pool(const PoolOptions& options, base::Log& log) noexcept;
    /// Runs what is submitted and waits for the threads.
    ~Pool();
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    /// The lane of a location; `name` is what the log calls it and its plugin. Without memory that of
    /// what belongs to no location. Lives as long as the pool. [any thread]
    [[nodiscard]] PoolLane& lane(const std::string& name) noexcept;

    /// False when there is no thread and none can be created: nothing should be submitted then.
    /// [any thread]
    [[nodiscard]] bool ready() noexcept;

    /// What a loop submits goes to the threads at the end of its turn, all at once. [any thread]
    void submit(PoolTask& task) noexcept;
    /// The same with a task that hardly ever waits: what a loop submits runs on the loop's own thread soon, which another
    /// one replaces when it does wait. Not so where there is only one thread, which plugins may rely on. [any thread]
    void submit_brief(PoolTask& task) noexcept;
    /// True when it does so, on this loop and now. [loop]
    [[nodiscard]] bool runs_brief(engine::Loop& loop) const noexcept;
    /// Has the loop's thread run it as soon as the channel that it serves just now has had its turn, before anything else.
    /// The pool runs_brief(). [loop]
    void run_next(PoolTask& task, engine::Loop& loop) noexcept;

private:
    friend class PoolWait;
    class Handover;
    [[nodiscard]] static Handover& handover() noexcept;
    using Clock = std::chrono::steady_clock;

    /// Where the task on this thread comes from; nulls on a thread that is no pool's.
    struct Place {
        Pool* pool = nullptr;
        PoolLane* lane = nullptr;
    };
    // NOLINTNEXTLINE(readability-identifier-naming): a member, whatever clang-tidy takes it for
    static thread_local Place place_;

    /// Clients whose waits were ended and that the log does not know of.
    struct Closed {
        std::uint64_t count = 0;
        const PoolLane* last = nullptr;
        Clock::time_point told_at{};  ///< when it heard of others
    };

    void submit(PoolTask& task, bool brief) noexcept;
    /// Tasks in a row, from `first` on.
    void submit_all(PoolTask* first) noexcept;
    /// True when a thread that waits has to be woken.
    [[nodiscard]] bool admit(PoolTask& task) noexcept;
    void work() noexcept;
    void add_worker() noexcept;
    /// Threads that there can be.
    [[nodiscard]] unsigned most_threads() const noexcept {
        return starved_ ? threads_ : options_.max_threads;
    }
    [[nodiscard]] bool start_thread(void (Pool::*body)() noexcept) noexcept;
    [[nodiscard]] PoolTask* wait_for_task(std::unique_lock<std::mutex>& lock) noexcept;
    void run(PoolTask& task, std::unique_lock<std::mutex>& lock) noexcept;

    // Lanes, in pool_lanes.cpp.
    [[nodiscard]] PoolLane& lane_of(const PoolTask& task) noexcept {
        return task.lane_ != nullptr ? *task.lane_ : common_;
    }
    void append(PoolTask& task) noexcept;
    [[nodiscard]] bool may_run(const PoolLane& lane) const noexcept;
    [[nodiscard]] bool can_run() const noexcept;
    [[nodiscard]] PoolTask* take() noexcept;

    // The thread that looks after blocked ones, in pool_keeper.cpp.
    void keep() noexcept;
    void call_keeper() noexcept;
    void wait_in_keeper(std::unique_lock<std::mutex>& lock) noexcept;
    struct News;
    [[nodiscard]] News look_at_lanes() noexcept;
    void look_at(PoolLane& lane, Clock::time_point now, News& news) noexcept;
    void end_waits(Clock::time_point now) noexcept;
    void end(PoolWait& wait, Closed& as, const PoolLane& lane) noexcept;
    [[nodiscard]] bool end_a_wait(PoolLane* lane, Clock::time_point now) noexcept;
    [[nodiscard]] const PoolLane& largest_lane() const noexcept;
    void tell(const News& news) noexcept;

    const PoolOptions options_;
    const unsigned usual_threads_;  // beyond these only when they stall
    base::Log& log_;

    std::mutex mutex_;  // guards everything below, and lanes and waits
    std::condition_variable work_;
    std::condition_variable keeper_;
    std::condition_variable ended_;
    PoolLane common_;
    std::map<std::string, PoolLane> lanes_;  // of locations, by name
    PoolLane* first_ = nullptr;              // of the lanes where something waits, in turn
    PoolLane* last_ = nullptr;
    PoolWait* oldest_wait_ = nullptr;
    PoolWait* newest_wait_ = nullptr;
    unsigned threads_ = 0;  // workers
    unsigned idle_ = 0;     // of these, waiting for work
    unsigned woken_ = 0;    // of the idle, on their way to work that is waiting
    unsigned busy_ = 0;     // tasks that run
    bool starved_ = false;  // the system gives no more threads
    bool keeper_runs_ = false;
    bool keeper_rests_ = false;  // waits to be told that work waits
    bool held_back_ = false;     // a lane was passed over: idle threads may find work later
    bool stopping_ = false;
    std::uint64_t begun_ = 0;                             // tasks so far
    PoolRelief relief_;                                   // when all threads were blocked
    Clock::time_point next_deadline_ = PoolWait::kNever;  // of a wait that may go on until then
    Closed given_up_;                                     // because no thread was left
    Closed expired_;                                      // at the deadline
};

}  // namespace websocket::plugin
