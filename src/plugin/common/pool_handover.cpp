// SPDX-License-Identifier: Apache-2.0
// What the thread of a loop submits.
#include <utility>

#include "engine/loop.hpp"
#include "plugin/common/pool.hpp"

namespace websocket::plugin {

/// Tasks of the loop on this thread. Most wait for the end of its turn: one lock and one wake-up for all, instead of
/// one each. Brief ones the thread runs itself, but for those that it has not got to by then.
class Pool::Handover final : public engine::TurnEnd, public engine::Borrower {
public:
    /// Others than its own thread should not wait for long.
    static constexpr unsigned kMost = 128;

    void add(Pool& pool, PoolTask& task, engine::Loop& loop) noexcept {
        if (count_ == kMost) {
            hand_over();
        }
        prepare(pool, loop);
        others_.push(task);
        ++count_;
    }
    void add_brief(Pool& pool, PoolTask& task, engine::Loop& loop) noexcept {
        prepare(pool, loop);
        own_.push(task);
        loop.lend_to(*this);
    }
    void add_next(PoolTask& task, engine::Loop& loop) noexcept {
        next_ = &task;
        loop.lend_to(*this);
    }

private:
    /// Tasks in a row.
    struct Row {
        PoolTask* first = nullptr;
        PoolTask* last = nullptr;

        void push(PoolTask& task) noexcept {
            task.next_ = nullptr;
            (first != nullptr ? last->next_ : first) = &task;
            last = &task;
        }
        [[nodiscard]] PoolTask* pop() noexcept {
            return first != nullptr ? std::exchange(first, first->next_) : nullptr;
        }
    };

    void prepare(Pool& pool, engine::Loop& loop) noexcept {
        if (pool_ != &pool) {
            hand_over();
            pool_ = &pool;
        }
        if (!put_off_) {
            put_off_ = true;
            loop.put_off(*this);
        }
    }
    [[nodiscard]] bool urgent() const noexcept override { return next_ != nullptr; }
    engine::Errand* next_errand() noexcept override {
        return next_ != nullptr ? std::exchange(next_, nullptr) : own_.pop();
    }
    void at_turn_end() noexcept override {
        put_off_ = false;
        hand_over();
    }
    void hand_over() noexcept {
        count_ = 0;
        for (Row* row : {&others_, &own_}) {
            if (pool_ != nullptr && row->first != nullptr) {
                pool_->submit_all(std::exchange(row->first, nullptr));
            }
        }
    }

    Pool* pool_ = nullptr;
    Row others_;  // for the pool's threads
    unsigned count_ = 0;
    Row own_;
    PoolTask* next_ = nullptr;  // of own ones, before those of the row
    bool put_off_ = false;
};

void Pool::submit(PoolTask& task) noexcept { submit(task, false); }

void Pool::submit_brief(PoolTask& task) noexcept { submit(task, true); }

bool Pool::runs_brief(engine::Loop& loop) const noexcept {
    return options_.max_threads > 1 && loop.may_be_lent();
}

void Pool::run_next(PoolTask& task, engine::Loop& loop) noexcept {
    handover().add_next(task, loop);
}

Pool::Handover& Pool::handover() noexcept {
    static thread_local constinit Handover handover;
    return handover;
}

void Pool::submit(PoolTask& task, bool brief) noexcept {
    if (engine::Loop* loop = engine::Loop::current()) {
        const bool here = brief && runs_brief(*loop);
        here ? handover().add_brief(*this, task, *loop) : handover().add(*this, task, *loop);
        return;
    }
    const std::lock_guard lock(mutex_);
    if (admit(task)) {
        work_.notify_one();  // with the lock: afterwards the pool may be gone
    }
}

}  // namespace websocket::plugin
