// SPDX-License-Identifier: Apache-2.0
// What runs one after the other, and the threads for it. Part of websocket/jsonrpc.hpp.
#pragma once

#include <signal.h>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace websocket::jsonrpc::detail {

class Workers;

/// Tasks that run one after the other, in the order in which they were added, on whatever thread, while it is
/// not held. They must not throw. [any thread]
class Strand : public std::enable_shared_from_this<Strand> {
public:
    Strand() = default;
    Strand(const Strand&) = delete;
    Strand& operator=(const Strand&) = delete;
    virtual ~Strand() = default;

    /// Runs the task here if the workers have no threads and nothing of this strand is running or waiting, else
    /// it is run by whoever is free.
    template <class Task>
    void add(Workers& workers, Task&& task);
    /// To be called when it is not held any more.
    void go_on(Workers& workers);

private:
    /// Whether no task begins; looked at between two.
    [[nodiscard]] virtual bool held() const { return false; }

    friend class Workers;
    using Function = std::function<void()>;

    /// Runs what is first. False when there is nothing to be run now.
    bool run_one() {
        Function task;
        {
            const std::lock_guard lock(queue_mutex_);
            if (tasks_.empty() || held()) {
                running_ = false;
                return false;
            }
            task = std::move(tasks_.front());
            tasks_.pop_front();
        }
        task();
        return true;
    }

    /// Here, or by a worker.
    void run(Workers& workers, bool here);
    /// Forgets what is queued: it may hold the strand itself.
    void drop() {
        std::list<Function> tasks;
        const std::lock_guard lock(queue_mutex_);
        tasks.swap(tasks_);
        running_ = false;
    }

    std::mutex queue_mutex_;  // guards the two below
    std::list<Function> tasks_;
    bool running_ = false;  ///< somebody runs tasks, or is about to
};

/// Threads that run the tasks of strands, one of each strand in turn.
class Workers {
public:
    /// 0: none. They start one by one, when there is more to do than there are threads waiting.
    explicit Workers(unsigned most) noexcept : most_(most) {}
    ~Workers() { stop(); }
    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;

    [[nodiscard]] bool none() const noexcept { return most_ == 0 || stopping_; }

    /// What is running is waited for, what is queued is dropped.
    void stop() {
        std::vector<std::thread> threads;
        std::deque<std::shared_ptr<Strand>> ready;
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
            ready.swap(ready_);
            threads.swap(threads_);
            work_.notify_all();
        }
        for (std::thread& thread : threads) thread.join();
        for (const auto& strand : ready) strand->drop();
    }

private:
    friend class Strand;

    void add(std::shared_ptr<Strand> strand) {
        std::unique_lock lock(mutex_);
        if (stopping_) {
            lock.unlock();
            strand->drop();
            return;
        }
        ready_.push_back(std::move(strand));
        if (ready_.size() <= waiting_ || threads_.size() == most_) {
            work_.notify_one();
        } else if (!start() && threads_.empty()) {
            strand = std::move(ready_.back());  // with nobody else to do it, it is done here
            ready_.pop_back();
            lock.unlock();
            while (strand->run_one()) {
            }
        }
    }
    /// False when the system gives no thread. Signals are for the server's threads.
    bool start() {
        sigset_t all;
        sigset_t before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        bool started = true;
        try {
            threads_.emplace_back([this] { run(); });
        } catch (const std::exception&) {
            started = false;
        }
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        return started;
    }
    void run() {
        std::unique_lock lock(mutex_);
        for (;;) {
            ++waiting_;
            work_.wait(lock, [this] { return stopping_ || !ready_.empty(); });
            --waiting_;
            if (stopping_) return;
            std::shared_ptr<Strand> strand = std::move(ready_.front());
            ready_.pop_front();
            lock.unlock();
            const bool more = strand->run_one();
            lock.lock();
            if (more && !stopping_) ready_.push_back(strand);
            const bool dropped = more && stopping_;
            lock.unlock();
            if (dropped) strand->drop();
            strand.reset();  // whatever ends with it ends outside of the lock
            lock.lock();
        }
    }

    const unsigned most_;
    std::mutex mutex_;  // guards all below
    std::condition_variable work_;
    std::deque<std::shared_ptr<Strand>> ready_;
    std::vector<std::thread> threads_;
    std::size_t waiting_ = 0;  ///< threads
    std::atomic<bool> stopping_{false};
};

template <class Task>
void Strand::add(Workers& workers, Task&& task) {
    const bool here = workers.none();  // once: they may stop meanwhile
    bool first = false;
    {
        const std::lock_guard lock(queue_mutex_);
        const bool later = running_ || held();
        first = here && !later && tasks_.empty();
        if (!first) tasks_.emplace_back(std::forward<Task>(task));
        if (later) return;
        running_ = true;
    }
    if (first) task();
    run(workers, here);
}

inline void Strand::go_on(Workers& workers) {
    {
        const std::lock_guard lock(queue_mutex_);
        if (running_ || tasks_.empty() || held()) return;
        running_ = true;
    }
    run(workers, workers.none());
}

inline void Strand::run(Workers& workers, bool here) {
    if (!here) {
        workers.add(shared_from_this());
        return;
    }
    while (run_one()) {
    }
}

}  // namespace websocket::jsonrpc::detail
